"""Gradients of transposed convolutions: by hand, by PyTorch, and as the convolution passes that they are."""

from __future__ import annotations

import pytest

from builders import layer, tensor
from headroom.gpu.sheets import load_gpu
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.measure.gradients import gradient
from headroom.predict.model import predict_layers

torch = pytest.importorskip("torch")

#: Channels in and out, size, filter, stride, padding, output padding, dilation, groups.
SHAPES = [
    (64, 32, 7, 4, 2, 1, 0, 1, 1),
    (16, 24, 9, 3, 2, 1, 1, 1, 1),
    (8, 8, 10, 3, 1, 1, 0, 1, 8),
    (12, 6, 8, 3, 3, 0, 2, 2, 3),
    (32, 16, 5, 2, 2, 0, 0, 1, 1),
]
BATCH = 3


def transposed(
    c: int, k: int, size: int, taps: int, stride: int, pad: int, more: int, dilation: int, groups: int
) -> Layer:
    out = (size - 1) * stride - 2 * pad + dilation * (taps - 1) + more + 1
    work = Convolution(
        BATCH, c, k, (size, size), (out, out), (taps, taps), (stride, stride), ((pad, pad),) * 2, (dilation,) * 2,
        groups,
        "dgrad",
    )  # fmt: skip
    weight = tensor("w", c, k // groups, taps, taps)
    return layer("up", work, [tensor("x", BATCH, c, size, size)], shape=(BATCH, k, out, out), weights=[weight])


def test_sizes_flops_and_bytes_of_one_are_those_counted_by_hand() -> None:
    up = transposed(*SHAPES[0])
    assert up.outputs[0].shape == (3, 32, 14, 14)
    data, weight = (gradient(up, name) for name in ("dgrad", "wgrad"))
    assert data is not None
    assert weight is not None
    # Every one of 3 x 7 x 7 positions of 64 channels meets 4 x 4 taps of 32 channels: 2 flops each.
    assert up.flops == data.flops == weight.flops == 2 * 3 * 49 * 64 * 16 * 32
    image, gradient_values, filters = 3 * 64 * 49, 3 * 32 * 196, 64 * 32 * 16
    assert data.bytes(DataType.BF16) == weight.bytes(DataType.BF16) == 2 * (image + gradient_values + filters)
    assert (data.gemm.m, data.gemm.n, data.gemm.k) == (3 * 49, 64, 32 * 16)  # type: ignore[union-attr]
    assert (weight.gemm.m, weight.gemm.n, weight.gemm.k) == (64, 32 * 16, 3 * 49)  # type: ignore[union-attr]
    assert [t.shape for t in (*data.inputs, *data.outputs)] == [(3, 32, 14, 14), (3, 64, 7, 7)]
    assert [t.shape for t in (*weight.inputs, *weight.outputs)] == [(3, 32, 14, 14), (3, 64, 7, 7), (64, 32, 4, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_pytorch_finds_the_same_gradients_by_those_convolution_passes(shape: tuple[int, ...]) -> None:
    up = transposed(*shape)
    _, _, _, _, stride, pad, more, dilation, groups = shape
    drawn = torch.Generator().manual_seed(1)
    x = torch.randn(up.inputs[0].shape, generator=drawn, dtype=torch.float64, requires_grad=True)
    w = torch.randn(up.weights[0].shape, generator=drawn, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.conv_transpose2d(x, w, None, stride, pad, more, groups, dilation)
    assert tuple(y.shape) == up.outputs[0].shape
    loss = torch.randn(y.shape, generator=drawn, dtype=torch.float64)
    y.backward(loss)
    sizes = {"stride": stride, "padding": pad, "dilation": dilation, "groups": groups}
    torch.testing.assert_close(torch.nn.functional.conv2d(loss, w, **sizes), x.grad)
    torch.testing.assert_close(torch.nn.grad.conv2d_weight(loss, w.shape, x, **sizes), w.grad)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("gpu", "dtype"), [("h200", "bf16"), ("titan-xp", "fp32")])
def test_they_are_predicted_and_stored_as_the_passes_of_the_convolution_that_goes_the_other_way(
    shape: tuple[int, ...], gpu: str, dtype: str
) -> None:
    up = transposed(*shape)
    c, k, size, taps, stride, pad, _, dilation, groups = shape
    out = up.outputs[0].shape[2]
    work = Convolution(
        BATCH, k, c, (out, out), (size, size), (taps, taps), (stride, stride), ((pad, pad),) * 2, (dilation,) * 2,
        groups,
    )  # fmt: skip
    weight = tensor("w", c, k // groups, taps, taps)
    down = layer("down", work, [tensor("x", BATCH, k, out, out)], shape=(BATCH, c, size, size), weights=[weight])
    pairs = [(gradient(up, "dgrad"), down), (gradient(up, "wgrad"), gradient(down, "wgrad"))]
    for mine, equal in pairs:
        assert mine is not None
        assert equal is not None
        assert Chain.of([mine]).digest == Chain.of([equal]).digest
        times = [predict_layers([one], load_gpu(gpu), DataType(dtype))[0].time_us for one in (mine, equal)]
        assert times[0] == times[1] > 0
    # And the gradient of that convolution is the transposed one itself.
    back = gradient(down, "dgrad")
    assert back is not None
    assert Chain.of([back]).digest == Chain.of([up]).digest


def test_a_gradient_of_a_gradient_of_a_weight_has_no_model() -> None:
    weight = gradient(transposed(*SHAPES[0]), "wgrad")
    assert weight is not None
    assert gradient(weight, "dgrad") is None
