"""The reference: what counts as the same function, and what does not."""

from __future__ import annotations

import math

import pytest
import torch

from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Elementwise, Matmul, Reduction
from headroom.measure.bench import UnsupportedError
from headroom.measure.cuda import reference
from headroom.measure.cuda.reference import TOLERANCES, Reference
from measure_cuda.making import layer, operands_for

PRODUCT = layer(Matmul(64, 48, 512), [(64, 512)], [(64, 48)], [(512, 48), (48,)])


def reference_of(made, dtype: DataType = DataType.FP32):
    operands = operands_for(made, dtype=dtype)
    return Reference(operands.task.chain, operands.sources, dtype), operands


@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.FP16, DataType.BF16])
def test_an_honest_implementation_passes_with_room_to_spare(dtype: DataType) -> None:
    expected, operands = reference_of(PRODUCT, dtype)
    out = operands.tensor("t0") @ operands.tensor("t1") + operands.tensor("t2")
    check = expected.check([out])
    assert check.passed
    assert check.relative_error < TOLERANCES[dtype] / 2


def rounded_to(bits: int, tensor: torch.Tensor) -> torch.Tensor:
    """``tensor`` with a mantissa of that many bits."""
    mantissa, exponent = torch.frexp(tensor)
    return torch.ldexp(torch.round(mantissa * 2 ** (bits + 1)) / 2 ** (bits + 1), exponent)


def test_tf32_in_place_of_strict_fp32_is_noticed() -> None:
    expected, operands = reference_of(PRODUCT)
    left, right = (rounded_to(10, operands.tensor(name)) for name in ("t0", "t1"))
    out = left @ right + operands.tensor("t2")
    assert not expected.check([out]).passed
    assert reference_of(PRODUCT, DataType.TF32)[0].check([out]).passed


def test_bf16_in_place_of_tf32_is_noticed() -> None:
    expected, operands = reference_of(PRODUCT, DataType.TF32)
    out = operands.tensor("t0").bfloat16() @ operands.tensor("t1").bfloat16() + operands.tensor("t2").bfloat16()
    assert not expected.check([out.float()]).passed


@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.BF16])
def test_a_missing_bias_an_unwritten_row_and_zeros_are_noticed(dtype: DataType) -> None:
    expected, operands = reference_of(PRODUCT, dtype)
    right = operands.tensor("t0") @ operands.tensor("t1")
    assert not expected.check([right]).passed
    torn = right + operands.tensor("t2")
    torn[3] = 0
    assert not expected.check([torn]).passed
    assert not expected.check([torch.zeros_like(right)]).passed


def test_one_nan_never_passes() -> None:
    expected, operands = reference_of(PRODUCT)
    out = operands.tensor("t0") @ operands.tensor("t1") + operands.tensor("t2")
    out[0, 0] = math.nan
    check = expected.check([out])
    assert math.isnan(check.relative_error)
    assert not check.passed


def test_any_layout_of_the_output_is_compared_by_its_logical_shape() -> None:
    conv = Convolution(2, 8, 6, (9, 9), (9, 9), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    expected, operands = reference_of(layer(conv, [(2, 8, 9, 9)], [(2, 6, 9, 9)], [(6, 8, 1, 1)]))
    out = torch.conv2d(operands.tensor("t0", "nhwc"), operands.tensor("t1", "nhwc"))
    assert expected.check([out]).passed
    with pytest.raises(ValueError, match="shape"):
        expected.check([out.permute(0, 2, 3, 1)])


def test_integers_are_compared_one_by_one() -> None:
    expected, operands = reference_of(layer(Reduction("argmax", 600, 10), [(10, 60)], [((10,), "int64")]))
    out = operands.tensor("t0").argmax(-1)
    assert expected.check([out]).relative_error == 0
    out[0] += 1
    assert expected.check([out]).relative_error == pytest.approx(0.1)
    assert not expected.check([out]).passed


def test_a_result_that_is_not_finite_cannot_be_checked_and_says_so() -> None:
    made = layer(Elementwise("exp", 6), [(6,)], [(6,)])
    operands = operands_for(made)
    operands.tensor("t0").fill_(1e9)
    with pytest.raises(UnsupportedError, match="not finite"):
        Reference(operands.task.chain, operands.sources, DataType.FP32)


def test_large_work_has_its_reference_in_strict_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MOST_FP64_MACS", 1)
    expected, operands = reference_of(PRODUCT)
    out = operands.tensor("t0") @ operands.tensor("t1") + operands.tensor("t2")
    assert expected._outputs[0].dtype == torch.float32
    assert expected.check([out]).passed
