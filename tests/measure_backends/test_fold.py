"""Constants folded into weights and bias give the function that the layers give one after the other."""

from __future__ import annotations

import pytest
import torch

from headroom.graph.chain import Chain
from headroom.graph.tensor import TensorSpec
from headroom.measure.backends.geometry import fold
from headroom.measure.backends.geometry.frame import image, plain
from headroom.measure.backends.torch_ops import bind_chain
from measure_backends.stand_ins import batch_norm, convolution, linear, operands, pointwise, transposed


def reference(chain: Chain) -> torch.Tensor:
    tensors = {name: tensor.double() for name, tensor in operands(chain).sources.items()}
    return bind_chain(chain, tensors)(tensors)[0]


def folded(chain: Chain) -> torch.Tensor:
    """The first layer with scaled filter, plus the remaining bias."""
    anchor, work, given = chain.anchor, chain.anchor.work, operands(chain)
    frame = image(anchor.outputs[0].shape, 2, "nchw")
    run = fold.affine_run(chain.layers[1:], frame, (1, work.out_channels, 1, 1))
    assert run is not None
    assert len(run.layers) == len(chain.layers) - 1
    scale, shift = run.scale_and_shift(given)
    names = [spec.name for spec in anchor.weights]
    filters = fold.scaled_filter(given.tensor(names[0]), scale, work.direction, work.groups)
    own = given.tensor(names[1]) if len(names) > 1 else None
    alone = Chain((anchor,))
    tensors = {**{n: t.double() for n, t in given.sources.items()}, names[0]: filters.double()}
    if own is not None:
        tensors[names[1]] = torch.zeros_like(own).double()
    result = bind_chain(alone, tensors)(tensors)[0]
    return result + fold.shifted_bias(own, scale, shift).double().reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    "anchor",
    [convolution(), convolution(bias=True), convolution(groups=2), transposed(), transposed(groups=1)],
    ids=["plain", "with bias", "grouped", "transposed and grouped", "transposed"],
)
def test_a_folded_batch_norm_computes_the_same(anchor):
    chain = Chain.of([anchor, batch_norm(anchor, "n")])
    torch.testing.assert_close(folded(chain), reference(chain), rtol=1e-5, atol=1e-5)


def test_products_and_sums_with_constants_per_channel_fold_too():
    anchor = convolution()
    norm = batch_norm(anchor, "n")
    scaled = pointwise("mul", norm, "m", weights=[TensorSpec("factor", (4, 1, 1))])
    shifted = pointwise("add", scaled, "a", weights=[TensorSpec("addend", (4, 1, 1))])
    chain = Chain.of([anchor, norm, scaled, shifted])
    torch.testing.assert_close(folded(chain), reference(chain), rtol=1e-5, atol=1e-5)


def test_a_constant_along_another_dimension_does_not_fold():
    anchor = convolution()
    layers = Chain.of([anchor, pointwise("mul", anchor, "m", weights=[TensorSpec("factor", (5,))])]).layers
    assert fold.affine_run(layers[1:], image((2, 4, 6, 5), 2, "nchw"), (1, 4, 1, 1)) is None


def test_what_is_computed_at_run_time_does_not_fold():
    anchor = convolution()
    other = TensorSpec("other", (4, 1, 1))
    layers = Chain.of([anchor, pointwise("mul", anchor, "m", reads=[other])]).layers
    assert fold.affine_run(layers[1:], image((2, 4, 6, 5), 2, "nchw"), (1, 4, 1, 1)) is None


def test_a_batch_norm_of_mean_and_variance_alone_has_no_scale_of_its_own():
    mean, variance = torch.randn(4), torch.rand(4) + 0.5
    scale, shift = fold.batch_norm([mean, variance])
    x = torch.randn(3, 4)
    expected = torch.nn.functional.batch_norm(x, mean, variance)
    torch.testing.assert_close(x * scale + shift, expected)


def test_a_batch_norm_behind_a_linear_layer_folds_over_its_columns():
    anchor = linear((6, 8))
    layers = Chain.of([anchor, batch_norm(anchor, "n")]).layers
    run = fold.affine_run(layers[1:], plain((6, 4), ""), (1, 1, 1, 4))
    assert run is not None
    assert run.channels == 4
