"""The data type and the layout that a step ran in."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from headroom.advise.matching.signature import Family
from headroom.advise.matching.units import Unit, launch_kernel
from headroom.graph.tensor import DataType
from headroom.measure.profiles.profile import Operand, Step

_STORED = {
    "float32": DataType.FP32, "float16": DataType.FP16, "bfloat16": DataType.BF16, "float8": DataType.FP8,
}  # fmt: skip

#: Data types in kernel names; the first found counts. cuBLAS's nvjet kernels write a letter per operand: half,
#: bfloat16 ("t"), single (run in tf32) or an 8-bit float.
_NAMED = tuple(
    (re.compile(pattern, re.IGNORECASE), dtype)
    for pattern, dtype in (
        (r"nvjet_(sm\d+_)?q|e4m3|e5m2|fp8", DataType.FP8),
        (r"nvjet_(sm\d+_)?t|bf16|bfloat16", DataType.BF16),
        (r"nvjet_(sm\d+_)?h|f16|half|hgemm|_h\d{4,}|fp16", DataType.FP16),
        (r"tf32|nvjet_(sm\d+_)?s|s1688", DataType.TF32),
        (r"f32|sgemm|float|ffma", DataType.FP32),
    )
)

#: Attention kernels are called after fp16 whichever of the two half types they run.
_TELLING = frozenset({Family.CONVOLUTION, Family.PRODUCT, Family.RECURRENT})

_LAST = re.compile(r"channels_last|max_pool_forward_nhwc|bn_\w*NHWC|average_pool_nhwc")
_FIRST = re.compile(r"nchwToNhwc|max_pool_forward_nchw|bn_\w*NCHW|batch_norm_transform_input_kernel")


def ran_in(step: Step, units: Sequence[Unit]) -> DataType | None:
    """The data type in which products and convolutions spent most of their time.

    fp32 operands may be multiplied in tf32, which only the kernel's name tells.
    """
    time_us: dict[DataType, float] = defaultdict(float)
    for unit in (each for each in units if each.signature.family in _TELLING):
        ran = [step.launches[index] for index in unit.launches]
        named = [(each.name, each.duration_us) for each in ran if not launch_kernel(each).purpose]
        if unit.call is not None and not ran:
            named = [("", step.calls[unit.call].duration_us)]
        for name, duration_us in named:
            found = _dtype(step, unit, name)
            if found is not None:
                time_us[found] += duration_us
    return max(time_us, key=time_us.__getitem__) if time_us else None


def _dtype(step: Step, unit: Unit, kernel: str) -> DataType | None:
    named = next((dtype for pattern, dtype in _NAMED if pattern.search(kernel)), None)
    stored = None if unit.call is None else _stored(step.calls[unit.call].operands)
    # Under autocast fp32 operands are cast within the operator: then the kernel is right.
    return stored if named is None or (named is DataType.FP32 and stored is not None) else named


def _stored(operands: Sequence[Operand]) -> DataType | None:
    return next((_STORED[operand.dtype] for operand in operands if operand.dims and operand.dtype in _STORED), None)


def ran_channels_last(step: Step, units: Sequence[Unit]) -> bool | None:
    """Whether most convolutions read channels-last data; where no strides tell, whether kernels for it ran."""
    votes = Counter(vote for vote in (_strided_last(step, unit) for unit in units) if vote is not None)
    if not votes:
        names = [launch.name for launch in step.launches]
        votes = Counter({True: _found(_LAST, names), False: _found(_FIRST, names)})
    return votes[True] > votes[False] if votes.total() else None


def _strided_last(step: Step, unit: Unit) -> bool | None:
    if unit.call is None or unit.signature.family is not Family.CONVOLUTION:
        return None
    operands = step.calls[unit.call].operands
    if not operands or len(operands[0].dims) < 3 or len(operands[0].strides) != len(operands[0].dims):
        return None
    _, channels, *space = operands[0].dims
    if channels == 1 or all(size == 1 for size in space):
        return None  # both layouts have the same strides
    return operands[0].strides[1] == 1


def _found(pattern: re.Pattern[str], names: Sequence[str]) -> int:
    return sum(pattern.search(name) is not None for name in names)
