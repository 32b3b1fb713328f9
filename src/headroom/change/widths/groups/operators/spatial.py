"""Operators that work on each channel's plane alone: pooling, resizing, padding by reflection."""

from __future__ import annotations

from headroom.change.widths.groups.labels import compact, spread
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.operators.registry import follows
from headroom.change.widths.groups.trace import ChannelTrace

#: Axes before the plane: images and channels. A pooling of one axis has one fewer where its input is unbatched.
_LEADING = 2


@follows(
    *("max_pool1d", "max_pool2d", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d"),
    *("avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
    *("adaptive_max_pool2d", "adaptive_max_pool3d", "fractional_max_pool2d", "mkldnn_max_pool2d"),
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_bilinear2d", "upsample_bicubic2d"),
    *("upsample_linear1d", "upsample_trilinear3d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
    *("_upsample_nearest_exact2d", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
    *("grid_sampler_2d",),
)
def per_plane(trace: ChannelTrace, call: Call) -> None:
    """Another plane for each channel."""
    source = call.args[0]
    labels = trace.labels(source)
    if labels is None:
        return
    channel = source.ndim - _plane(call.name)
    if channel <= 0 or channel > _LEADING:
        trace.freeze(labels, f"{call.name} on a tensor of {source.ndim} axes, of which none is the channels'")
        return
    channel -= 1
    # All of a plane belongs to one channel, wherever it came from; a padding around it belongs to none.
    owners = compact(labels)[0].amax([axis for axis in range(source.ndim) if axis != channel], keepdim=True)
    owners = owners.expand([size if axis == channel else 1 for axis, size in enumerate(labels.shape)])
    trace.tie(labels, owners.expand(labels.shape))
    for result in call.results:
        trace.label(result, spread(owners.reshape(-1), channel, result.shape))
    trace.step(labels)


def _plane(name: str) -> int:
    """How many axes a plane has, as the operator's name says."""
    return next((int(digit) for digit in "123" if f"{digit}d" in name), 2)
