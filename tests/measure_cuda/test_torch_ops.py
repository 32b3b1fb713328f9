"""Each kind of work computes in PyTorch what PyTorch's own modules compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from headroom.graph.work import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Recurrent,
    Reduction,
    Softmax,
)
from headroom.measure.bench import UnsupportedError
from headroom.measure.gradients import gradient
from measure_cuda.making import close, layer, run

IMAGE = (2, 8, 9, 7)


def single(*arguments, **options):
    (out, *_), sources = run(layer(*arguments, **options))
    return out, sources


def test_convolutions_over_one_two_and_three_dimensions() -> None:
    for rank, convolve in ((1, functional.conv1d), (2, functional.conv2d), (3, functional.conv3d)):
        size = (6, 7, 8)[:rank]
        work = Convolution(
            2, 4, 6, size, tuple((n - 1) // 2 + 1 for n in size), (3,) * rank, (2,) * rank, ((1, 1),) * rank,
            (1,) * rank, groups=2,
        )  # fmt: skip
        out, (x, w, b) = single(work, [(2, 4, *size)], [(2, 6, *work.out_size)], [(6, 2, *work.kernel), (6,)])
        close(out, convolve(x, w, b, 2, 1, 1, 2))


def test_a_convolution_with_uneven_padding_and_dilation() -> None:
    work = Convolution(2, 8, 4, (9, 7), (9, 5), (3, 3), (1, 1), ((1, 3), (0, 2)), (2, 2))
    out, (x, w) = single(work, [IMAGE], [(2, 4, 9, 5)], [(4, 8, 3, 3)])
    close(out, functional.conv2d(functional.pad(x, (0, 2, 1, 3)), w, dilation=2))


@pytest.mark.parametrize(("stride", "padding", "output_padding", "groups"), [(2, 1, 1, 1), (2, 0, 0, 2), (3, 2, 1, 1)])
def test_transposed_convolutions(stride: int, padding: int, output_padding: int, groups: int) -> None:
    module = nn.ConvTranspose2d(8, 4, 3, stride, padding, output_padding, groups)
    expected = module(torch.zeros(IMAGE)).shape
    work = Convolution(
        2, 8, 4, IMAGE[2:], tuple(expected[2:]), (3, 3), (stride,) * 2, ((padding, padding),) * 2, (1, 1), groups,
        "dgrad",
    )  # fmt: skip
    out, (x, w, b) = single(work, [IMAGE], [tuple(expected)], [tuple(module.weight.shape), (4,)])
    close(out, functional.conv_transpose2d(x, w, b, stride, padding, output_padding, groups))


def test_a_transposed_convolution_with_uneven_padding_is_cut_at_both_ends() -> None:
    work = Convolution(1, 2, 3, (5,), (8,), (4,), (2,), ((1, 3),), (1,), direction="dgrad")
    out, (x, w) = single(work, [(1, 2, 5)], [(1, 3, 8)], [(2, 3, 4)])
    close(out, functional.conv_transpose1d(x, w, stride=2)[..., 1:-3])


@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((0, 1), (2, 1))])
def test_the_gradients_of_a_convolution_are_those_of_autograd(padding) -> None:
    size = (9 + sum(padding[0]) - 3) // 2 + 1, (7 + sum(padding[1]) - 3) // 2 + 1
    forward = Convolution(2, 8, 6, (9, 7), size, (3, 3), (2, 2), padding, (1, 1), 2)
    made = layer(forward, [IMAGE], [(2, 6, *size)], [(6, 4, 3, 3)])
    pads = (*padding[1], *padding[0])

    def expected(x, w, dy):
        x.requires_grad_(), w.requires_grad_()
        functional.conv2d(functional.pad(x, pads), w, stride=2, groups=2).backward(dy)
        return x.grad, w.grad

    (dx,), (dy, w) = run(gradient(made, "dgrad"))
    close(dx, expected(torch.zeros(IMAGE), w, dy)[0])
    (dw,), (x, dy) = run(gradient(made, "wgrad"))
    close(dw, expected(x, torch.zeros(6, 4, 3, 3), dy)[1])


def test_products_in_every_order() -> None:
    close(*(lambda r: (r[0], r[1][0] @ r[1][1]))(single(Matmul(5, 3, 4), [(5, 4)], [(5, 3)], [(4, 3)])))
    out, (x, w, b) = single(Matmul(10, 3, 4), [(2, 5, 4)], [(2, 5, 3)], [(3, 4), (3,)])
    close(out, functional.linear(x, w, b))
    out, (x, w, b) = single(Matmul(10, 3, 4), [(2, 5, 4)], [(2, 5, 3)], [(4, 3), (3,)])
    close(out, x @ w + b)
    out, (x, y, c) = single(Matmul(5, 3, 4), [(5, 4), (4, 3), (5, 1)], [(5, 3)])
    close(out, x @ y + c)
    out, (x, y) = single(Matmul(5, 3, 4, 6), [(2, 3, 5, 4), (3, 3, 4)], [(2, 3, 5, 3)])
    close(out, x @ y.mT)


def test_the_gradients_of_a_product_are_those_of_autograd() -> None:
    made = layer(Matmul(10, 3, 4), [(2, 5, 4)], [(2, 5, 3)], [(3, 4)])
    (dx,), (dy, w) = run(gradient(made, "dgrad"))
    close(dx, dy @ w)
    (dw,), (x, dy) = run(gradient(made, "wgrad"))
    close(dw.T if dw.shape == (3, 4) else dw, x.T @ dy)


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_attention(kv_heads: int, causal: bool) -> None:
    work = Attention(2, 4, 8, 8, 16, 16, kv_heads, causal)
    heads = (2, kv_heads, 8, 16)
    out, (q, k, v) = single(work, [(2, 4, 8, 16), heads, heads], [(2, 4, 8, 16)])
    k, v = (t.repeat_interleave(4 // kv_heads, 1) for t in (k, v))
    scores = q @ k.mT / 4
    if causal:
        scores = scores.masked_fill(torch.ones(8, 8).triu(1).bool(), float("-inf"))
    close(out, scores.softmax(-1) @ v)


def test_attention_in_the_shapes_that_exporters_leave() -> None:
    work = Attention(2, 4, 8, 6, 16, 16, 4, masked=True)
    out, (q, k, v, mask) = single(work, [(2, 8, 64), (2, 4, 16, 6), (2, 6, 4, 16), (2, 1, 1, 6)], [(2, 8, 64)])
    q = q.reshape(2, 8, 4, 16).transpose(1, 2)
    expected = (q @ k / 4 + mask).softmax(-1) @ v.transpose(1, 2)
    close(out, expected.transpose(1, 2).reshape(2, 8, 64))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_stacks_with_parameters_as_pytorch_has_them(cell: str, directions: int) -> None:
    kind = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell]
    module = kind(5, 6, 2, batch_first=True, bidirectional=directions == 2)
    shapes = [tuple(p.shape) for p in module.parameters()]
    work = Recurrent(cell, 3, 7, 5, 6, 2, directions)
    out, (x, *weights) = single(work, [(3, 7, 5)], [(3, 7, 6 * directions)], shapes)
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), weights, strict=True):
            parameter.copy_(weight)
        close(out, module(x)[0])


def test_a_recurrent_layer_with_parameters_as_onnx_has_them() -> None:
    work = Recurrent("lstm", 3, 7, 5, 6, 1, 2)
    weights = [(2, 24, 5), (2, 24, 6), (2, 48)]
    outs, (x, w, r, b) = run(layer(work, [(7, 3, 5)], [(7, 2, 3, 6), (2, 3, 6), (2, 3, 6)], weights))
    module = nn.LSTM(5, 6, bidirectional=True)
    with torch.no_grad():
        for direction, suffix in enumerate(("l0", "l0_reverse")):
            getattr(module, f"weight_ih_{suffix}").copy_(w[direction])
            getattr(module, f"weight_hh_{suffix}").copy_(r[direction])
            getattr(module, f"bias_ih_{suffix}").copy_(b[direction, :24])
            getattr(module, f"bias_hh_{suffix}").copy_(b[direction, 24:])
        sequence, (h, c) = module(x)
    close(outs[0], sequence.reshape(7, 3, 2, 6).transpose(1, 2))
    close(outs[1], h)
    close(outs[2], c)


def test_normalisations() -> None:
    out, (x, w, b, mean, var) = single(Normalization("batch", 1008), [IMAGE], [IMAGE], [(8,)] * 4)
    assert bool((var > 0).all())
    close(out, functional.batch_norm(x, mean, var, w, b))
    out, (x, w, b) = single(Normalization("group", 1008, 126), [IMAGE], [IMAGE], [(8,)] * 2)
    close(out, functional.group_norm(x, 4, w, b))
    out, (x, w, b) = single(Normalization("instance", 1008, 63), [IMAGE], [IMAGE], [(8,)] * 2)
    close(out, functional.instance_norm(x, None, None, w, b))
    out, (x, w, b) = single(Normalization("layer", 120, 6), [(4, 5, 6)], [(4, 5, 6)], [(6,)] * 2)
    close(out, functional.layer_norm(x, (6,), w, b))
    out, (x, w) = single(Normalization("rms", 120, 6), [(4, 5, 6)], [(4, 5, 6)], [(6,)])
    close(out, functional.rms_norm(x, (6,), w, 1e-5))
    out, (x,) = single(Normalization("local_response", 1008, 5), [IMAGE], [IMAGE])
    close(out, functional.local_response_norm(x, 5))
    out, (x, w, b) = single(Normalization("layer", 1008, 8), [IMAGE], [IMAGE], [(8, 1, 1)] * 2)
    close(out, functional.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2) * w + b)


def test_a_skip_connection_inside_a_normalisation_is_added_first() -> None:
    out, (x, skip, w, b) = single(Normalization("layer", 24, 6), [(4, 6), (4, 6)], [(4, 6)], [(6,)] * 2)
    close(out, functional.layer_norm(x + skip, (6,), w, b))


def test_pooling() -> None:
    out, (x,) = single(Pooling("max", 240, (3, 3), (2, 2)), [(2, 8, 9, 7)], [(2, 8, 5, 4)])
    close(out, functional.max_pool2d(x, 3, 2, 1))
    out, (x,) = single(Pooling("average", 16, (9, 7), (9, 7)), [IMAGE], [(2, 8, 1, 1)])
    close(out, x.mean((2, 3), keepdim=True))
    out, (x,) = single(Pooling("max", 1008, (2, 2), (1, 1)), [IMAGE], [IMAGE])
    close(out, functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, 1))
    (out, indices), (x,) = run(
        layer(Pooling("max", 96, (2, 2), (2, 2)), [IMAGE], [(2, 8, 4, 3), ((2, 8, 4, 3), "int64")])
    )
    assert torch.equal(indices, functional.max_pool2d(x, 2, return_indices=True)[1])


def test_softmax_and_reductions() -> None:
    out, (x,) = single(Softmax(20, 6), [(4, 5, 6)], [(4, 5, 6)])
    close(out, x.softmax(-1))
    out, (x,) = single(Softmax(126, 8), [IMAGE], [IMAGE])
    close(out, x.softmax(1))
    out, (x,) = single(Softmax(2, 504), [IMAGE], [IMAGE])
    close(out, x.flatten(1).softmax(1).reshape(IMAGE))
    out, (x,) = single(Reduction("reducemean", 1008, 16), [IMAGE], [(2, 8, 1, 1)])
    close(out, x.mean((2, 3), keepdim=True))
    out, (x,) = single(Reduction("reducemax", 1008, 126), [IMAGE], [(2, 9, 7)])
    close(out, x.amax(1))
    out, (x,) = single(Reduction("argmax", 120, 20), [(4, 5, 6)], [((4, 5), "int64")])
    assert torch.equal(out, x.argmax(-1))
    (values, _), (x,) = run(layer(Reduction("topk", 120, 40), [(4, 5, 6)], [(4, 5, 2), ((4, 5, 2), "int64")]))
    close(values, x.topk(2).values)


def test_a_mean_whose_dimensions_are_in_doubt_is_one_over_the_last_ones() -> None:
    out, (x,) = single(Reduction("reducemean", 64, 4), [(4, 4, 4)], [(4,)])
    close(out, x.mean((1, 2)))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("relu", torch.relu),
        ("swish", functional.silu),
        ("gelu", functional.gelu),
        ("hardswish", functional.hardswish),
        ("sigmoid", torch.sigmoid),
        ("clip", functional.relu6),
        ("leakyrelu", functional.leaky_relu),
        ("sqrt", torch.sqrt),
        ("log", torch.log),
        ("mul", lambda x: x * 2),
        ("mish", functional.mish),
    ],
)
def test_functions_of_one_tensor(function: str, expected) -> None:
    out, (x,) = single(Elementwise(function, 24), [(4, 6)], [(4, 6)])
    assert bool(out.isfinite().all())
    close(out, expected(x))


def test_functions_of_several_tensors() -> None:
    out, (x, y) = single(Elementwise("sub", 1008), [IMAGE], [IMAGE], [(8, 1, 1)])
    close(out, x - y)
    out, (x, y, z) = single(Elementwise("sum", 24), [(4, 6)] * 3, [(4, 6)])
    close(out, x + y + z)
    out, (x, y) = single(Elementwise("max", 24), [(4, 6)] * 2, [(4, 6)])
    close(out, torch.maximum(x, y))
    out, (c, x, y) = single(Elementwise("where", 24), [((4, 6), "bool"), (4, 6), (4, 6)], [(4, 6)])
    close(out, torch.where(c, x, y))
    out, (x, w) = single(Elementwise("prelu", 1008), [IMAGE], [IMAGE], [(8, 1, 1)])
    close(out, functional.prelu(x, w.flatten()))
    out, (x,) = single(Elementwise("glu", 504), [IMAGE], [(2, 4, 9, 7)])
    close(out, functional.glu(x, 1))


def test_movement_writes_new_memory_in_the_order_asked_for() -> None:
    out, (x,) = single(Movement("transpose", 1008, axes=(0, 2, 3, 1)), [IMAGE], [(2, 9, 7, 8)])
    assert out.is_contiguous()
    close(out, x.permute(0, 2, 3, 1))
    out, (x, y) = single(Movement("concat", 2016), [IMAGE, IMAGE], [(2, 16, 9, 7)])
    close(out, torch.cat([x, y], 1))
    out, (x,) = single(Movement("cat", 2016), [IMAGE], [(2, 16, 9, 7)])
    close(out, torch.cat([x, x], 1))
    out, (x,) = single(Movement("slice", 504), [IMAGE], [(2, 4, 9, 7)])
    assert out.data_ptr() != x.data_ptr()
    close(out, x[:, :4])
    out, (x,) = single(Movement("pad", 1584), [IMAGE], [(2, 8, 11, 9)])
    close(out, functional.pad(x, (1, 1, 1, 1)))
    out, (x,) = single(Movement("expand", 1008), [(8, 1, 1)], [IMAGE])
    close(out, x.expand(IMAGE))
    out, (x,) = single(Movement("repeat", 96), [(4, 6)], [(8, 12)])
    close(out, x.repeat(2, 2))
    (first, second), (x,) = run(layer(Movement("split", 1008), [IMAGE], [(2, 3, 9, 7), (2, 5, 9, 7)]))
    close(first, x[:, :3])
    close(second, x[:, 3:])


def test_a_view_that_repeats_its_tensor_is_spread_before_it_is_copied() -> None:
    out, (x, token) = single(Movement("cat", 1632), [(2, 16, 48)], [(2, 17, 48)], [(1, 1, 48)])
    close(out, torch.cat([x, token.expand(2, 1, 48)], 1))
    out, (x,) = single(Movement("reshape", 2048), [(2, 2, 1, 16, 8)], [(2, 8, 16, 8)])
    close(out, x.repeat_interleave(4, 2).reshape(2, 8, 16, 8))


def test_a_tensor_written_from_nothing_is_written() -> None:
    out, _ = single(Movement("zeros", 24), [], [(4, 6)])
    assert bool((out == 1).all())
    out, _ = single(Movement("ones_like", 24), [(4, 6)], [(4, 6)])
    assert bool((out == 1).all())


def test_a_cast_goes_to_the_type_of_its_result() -> None:
    out, (x, *_) = single(Movement("cast", 24), [((4, 6), "int64")], [(4, 6)])
    assert torch.equal(out, x.float())
    out, (x, *_) = single(Movement("cast", 24), [(4, 6)], [((4, 6), "bool")])
    assert torch.equal(out, x.bool())
    with pytest.raises(UnsupportedError, match="one data type runs throughout"):
        run(layer(Movement("cast", 24), [(4, 6)], [(4, 6)]))


def test_a_copy_of_a_transposed_view_is_timed_from_the_order_it_has_in_memory() -> None:
    out, (x,) = single(Movement("reshape", 120, axes=(0, 2, 1)), [(4, 5, 6)], [(4, 30)])
    # The operand's memory is that of a (4, 6, 5) tensor, seen with its last two dimensions exchanged.
    close(out, x.reshape(4, 6, 5).transpose(1, 2).reshape(4, 30))


def test_resizing_by_the_flops_it_takes() -> None:
    large = (2, 8, 18, 14)
    out, (x,) = single(Movement("resize", 4032), [IMAGE], [large])
    close(out, functional.interpolate(x, scale_factor=2))
    out, (x,) = single(Movement("resize", 4032, flops_per_element=8), [IMAGE], [large])
    close(out, functional.interpolate(x, scale_factor=2, mode="bilinear"))
    out, (x,) = single(Movement("resize", 4032, flops_per_element=32), [IMAGE], [large])
    close(out, functional.interpolate(x, scale_factor=2, mode="bicubic"))


def test_looking_up() -> None:
    out, (i, table) = single(Embedding(6, 5), [((2, 3), "int64")], [(2, 3, 5)], [(9, 5)])
    close(out, table[i])
    out, (x, i) = single(Movement("gather", 80, partial_read=True), [(4, 5, 6)], [(4, 6)], [((), "int64")])
    close(out, x[:, int(i)])


def test_a_chain_runs_layer_by_layer() -> None:
    conv = Convolution(2, 8, 4, (9, 7), (9, 7), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    small = (2, 4, 9, 7)
    (out,), (x, other, w, *norm) = run(
        layer(conv, [IMAGE], [small], [(4, 8, 1, 1)], "x w a"),
        layer(Normalization("batch", 504), [small], [small], [(4,)] * 4, "a g b m v n"),
        layer(Elementwise("add", 504), [small, small], [small], names="n o s"),
        layer(Elementwise("relu", 504, 1, True), [small], [small], names="s r"),
    )
    scale, shift, mean, variance = norm
    close(out, torch.relu(functional.batch_norm(functional.conv2d(x, w), mean, variance, scale, shift) + other))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (layer(Elementwise("randomnormal", 4), [(4,)], [(4,)]), "no implementation of randomnormal"),
        (layer(Normalization("weight", 24, 6), [(4, 6)], [(4, 6)]), "no implementation of weight normalisation"),
        (layer(Movement("transpose", 24), [(4, 6)], [(6, 4)]), "has no permutation"),
        (layer(Elementwise("relugrad", 24), [(4, 6), (5, 6)], [(4, 6)]), "does not spread over"),
        (layer(Pooling("lp", 16, (9, 7), (9, 7)), [IMAGE], [(2, 8, 1, 1)]), "no implementation of lp pooling"),
        (layer(Reduction("reducesum", 24, 5), [(4, 6)], [(5,)]), "no dimensions"),
    ],
)
def test_what_cannot_be_run_says_why(made, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        run(made)
