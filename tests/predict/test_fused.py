"""What a chain takes as one kernel, beyond its first layer: a factor for each way of fusing."""

from __future__ import annotations

import pytest

from builders import layer, tensor
from headroom.gpu.sheets import load_gpu
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Elementwise
from headroom.predict.calibration import load_calibration
from headroom.predict.fused import fused_factors, kin_of, ways_of

H200, V100 = load_gpu("h200"), load_gpu("v100-pcie-32gb")
IMAGES = tensor("x", 32, 96, 28, 28)


def convolution(groups: int = 1, taps: int = 1) -> Layer:
    image, edge = (28, 28), (taps // 2, taps // 2)
    work = Convolution(32, 96, 96, image, image, (taps, taps), (1, 1), (edge, edge), (1, 1), groups)
    return layer("conv", work, [IMAGES], weights=[tensor("w", 96, 96 // groups, taps, taps)], shape=IMAGES.shape)


def activation(function: str, *others: str) -> Layer:
    work = Elementwise(function, IMAGES.elements, activation=True)
    return layer(function, work, [IMAGES, *(tensor(name, *IMAGES.shape) for name in others)], shape=IMAGES.shape)


def test_a_chain_is_fused_in_the_way_that_its_kernel_its_activation_and_its_operands_tell() -> None:
    chains = [
        [convolution(), activation("relu")], [convolution(96, 3), activation("clip")],
        [convolution(1, 3), activation("swish", "residual")],
    ]  # fmt: skip
    assert ways_of(chains, H200, DataType.FP32) == ["pointwise, relu", "depthwise, clip", "forward, swish + operand"]


def test_a_relu_comes_free_and_other_endings_cost_what_was_measured() -> None:
    relu, clip, depthwise = (
        fused_factors([chain], H200, DataType.FP32)[0]
        for chain in (
            [convolution(), activation("relu")],
            [convolution(), activation("clip")],
            [convolution(96, 3), activation("clip")],
        )
    )
    assert relu == pytest.approx(1.0, abs=0.1)
    assert clip > 1.5
    assert depthwise > 1.3


def test_what_nobody_timed_has_no_factor() -> None:
    chain = [convolution(), activation("clip")]
    assert fused_factors([chain], V100, DataType.FP32) == [1.0]


def test_an_ending_that_nobody_timed_takes_the_factor_of_its_kin() -> None:
    known = load_calibration().own_fused["hopper fp32"]
    assert fused_factors([[convolution(), activation("unheard of")]], H200, DataType.FP32) == [
        known["pointwise, rarer ending"]
    ]
    assert kin_of("depthwise, relu + operand") == "depthwise, common ending"


def test_factors_stay_within_what_fusing_can_do() -> None:
    factors = [value for ways in load_calibration().own_fused.values() for value in ways.values()]
    assert min(factors) > 0.4
    assert max(factors) < 6.0


def test_narrow_types_that_were_not_timed_fuse_like_the_one_that_was() -> None:
    chain = [convolution(), activation("clip")]
    assert fused_factors([chain], H200, DataType.FP16) == fused_factors([chain], H200, DataType.BF16)
