"""What PyTorch's own kernels take for a BatchNorm at inference in either order of values, and for a convolution's bias.

BatchNorm was laid out on an H200's kernels of ResNet-50 at batches 1 and 32, the bias on networks that have no
BatchNorm. Of BatchNorm ratios of these times are what is used, so that another GPU's speed drops out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Values in NCHW: a CTA per plane (an image's channel) works through it value by value, so that one large plane, many
#: planes, many values or many bytes set the time; us, us per value of a plane, us per plane, values and bytes per us.
_NCHW_US = 2.0
_PLANE_VALUE_US = 4.2e-4
_PLANE_US = 6.0e-4
_NCHW_VALUES = 0.42e6
_NCHW_BYTES = 2.8e6

#: Values in NHWC: constants are read per value, then vectors stream, faster out of L2 than out of DRAM; us, bytes per
#: us.
_NHWC_US = 3.1
_NHWC_L2_BYTES = 4.3e6
_NHWC_BYTES = 2.45e6

#: A bias that is added to a convolution's result in place: us, and values per us whatever their type and order.
_BIAS_US = 1.9
_BIAS_VALUES = 0.4e6


def batch_norm_us(shape: Sequence[int], value_bytes: float, *, nhwc: bool) -> float:
    """A BatchNorm's own kernel over a tensor of ``shape`` (N, C, spatial sizes); what it casts comes on top."""
    values = math.prod(shape)
    moved_bytes = 2 * value_bytes * values
    if nhwc:
        return max(_NHWC_US + moved_bytes / _NHWC_L2_BYTES, moved_bytes / _NHWC_BYTES)
    plane = math.prod(shape[2:])
    bound_us = (
        plane * _PLANE_VALUE_US,
        values / plane * _PLANE_US,
        values / _NCHW_VALUES,
        moved_bytes / _NCHW_BYTES,
    )
    return _NCHW_US + max(bound_us)


def bias_us(shape: Sequence[int]) -> float:
    """The elementwise kernel by which eager PyTorch adds a bias to a convolution's result of ``shape``."""
    return _BIAS_US + math.prod(shape) / _BIAS_VALUES
