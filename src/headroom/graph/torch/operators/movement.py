"""Data copied to another place or order, and look-ups in tables."""

from __future__ import annotations

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Elementwise, Embedding, Movement, Work


@operators(
    "cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "row_stack", "block_diag",
    "repeat", "repeat_interleave", "tile", "roll", "flip", "fliplr", "flipud", "rot90", "pad",
    "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    "native_channel_shuffle", "im2col", "col2im", "unfold_copy", "one_hot", "diag", "diag_embed",
    "cartesian_prod", "complex", "polar", "max_unpool2d", "max_unpool3d", "searchsorted", "bucketize",
    "permute_copy", "view_copy", "expand_copy", "transpose_copy", "copy",
)  # fmt: skip
def copied(call: Call) -> Work:
    """Every value written once. ``copy_`` into a slice writes the slice alone."""
    return Movement(call.operator, call.out.elements)


@operators("clone")
def cloned(call: Call) -> Work:
    """A copy into the result's own order, from the order that the operand has in memory."""
    return Movement("clone", call.out.elements, axes=call.reordered)


@operators("index", "index_select", "gather", "take", "take_along_dim", "masked_select", "select_copy", "slice_copy")
def picked(call: Call) -> Work:
    """As many values read as are written, however large the source is."""
    return Movement(call.operator, call.out.elements, partial_read=True)


@operators("index_put", "_index_put_impl", "index_copy", "index_add", "index_fill", "scatter", "scatter_add",
           "scatter_reduce", "masked_scatter", "select_scatter", "slice_scatter", "put")  # fmt: skip
def scattered(call: Call) -> Work:
    """The target is copied, then the updates land in it."""
    updates = sum(call.operand(name).elements for name in ("values", "source", "src") if _is_tensor(call, name))
    return Movement(call.operator, call.out.elements + updates)


def _is_tensor(call: Call, name: str) -> bool:
    return hasattr(call.get(name), "elements")


@operators("embedding")
def embedding(call: Call) -> Work:
    indices, table = call.operand("indices"), call.operand("weight")
    return Embedding(rows=indices.elements, width=table.shape[-1])


@operators("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
def embedding_bag(call: Call) -> Work:
    """Rows looked up and summed per bag; the look-up is what takes the time."""
    return Embedding(rows=call.operand("indices").elements, width=call.operand("weight").shape[-1])


#: Values that one output of an interpolation is made from, per resized dimension.
_TAPS = {"nearest": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}


@operators(
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
)  # fmt: skip
def resize(call: Call) -> Work:
    """One product and one sum per value that an output is made from; the nearest value is only copied."""
    mode = call.operator.strip("_").split("_")[1].rstrip("123d")
    resized = sum(a != b for a, b in zip(call.first.shape, call.out.shape, strict=True))
    flops = 0 if _TAPS[mode] == 1 else 2 * _TAPS[mode] ** resized
    return Movement("resize", call.out.elements, flops_per_element=flops)


@operators("affine_grid_generator")
def affine_grid(call: Call) -> Work:
    """A product with a small matrix per point."""
    return Elementwise("affinegrid", call.out.elements, flops_per_element=6)


@operators("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sample(call: Call) -> Work:
    """Interpolation mode 0 is linear, 1 nearest, 2 cubic (torch.nn.functional.grid_sample)."""
    taps = {0: 2, 1: 1, 2: 4}[call.arguments["interpolation_mode"]]
    flops = 0 if taps == 1 else 2 * taps ** (len(call.out.shape) - 2)
    return Movement("grid_sample", call.out.elements, flops_per_element=flops)
