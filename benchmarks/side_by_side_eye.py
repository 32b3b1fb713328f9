"""What a person reads off PyTorch's profiler and HTA: the profiler's table, made again, and the losses in it.

The table is that of ``key_averages().table(sort_by="self_cuda_time_total")``: a kernel's time goes to the operator with
its ``External id``, which is the innermost one that launched it.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Losses smaller than this share of the GPU's busy time nobody would stop at.
_LEAST_SHARE = 0.01

#: How many of a run's losses are looked at.
_TOP = 5


@dataclass(frozen=True)
class Row:
    """A kernel under an operator: GPU time in us and launches, both per inference."""

    operator: str
    kernel: str
    time_us: float
    launches: float


@dataclass(frozen=True)
class Loss:
    """A kind of inefficiency, how each tool shows it, and which of Headroom's findings are about it.

    ``pytorch`` and ``hta`` are ``shown`` (the figure stands there under that name), ``inferred`` (figures stand there
    from which someone who knows what to look for adds it up) or ``not shown``. ``purposes`` are the launches of
    question 4's table that are this loss; where it is ``None``, the sentence of ``question`` answers for it.
    """

    key: str
    title: str
    pytorch: str
    hta: str
    findings: tuple[str, ...]
    question: int
    purposes: tuple[str, ...] | None = None


_LIBRARY = ("algorithm_setting", "data_type", "data_type_in_a_graph", "matmul_precision", "alignment")

LOSSES = {
    loss.key: loss
    for loss in (
        Loss("idle", "the GPU waits for work", "inferred", "shown", ("launch_gaps", "host_stall", "host_waits"), 8),
        Loss("short", "kernels shorter on the GPU than their launch on the host", "inferred", "shown",
             ("launch_gaps", "unfused_epilogues", "recomputed_constants", "fusion"), 8),
        Loss("pointwise", "pointwise and normalising kernels of their own", "inferred", "inferred",
             ("unfused_epilogues", "recomputed_constants", "fusion", "composed_attention"), 5),
        Loss("general", "products whose kernels' names say no tensor cores", "inferred", "inferred",
             _LIBRARY, 6),
        Loss("products", "the other kernels of products: could others be faster?", "inferred", "inferred",
             (*_LIBRARY, "tail"), 3),
        Loss("layout", "transposes of the layout, and padding", "inferred", "inferred",
             ("layout_transposes", "padding", "algorithm_setting"), 4, ("transpose", "padding")),
        Loss("copies", "copies and casts", "inferred", "inferred",
             ("copies", "dtype_casts", "recomputed_constants"), 4, ("copy", "cast")),
        Loss("fills", "fills", "shown", "shown", ("fills",), 4, ("fill",)),
        Loss("other", "pooling, reductions and concatenations", "inferred", "inferred",
             ("slow_pooling",), 4, ()),
    )
}  # fmt: skip

_LAYOUT = re.compile(r"nchwToNhwc|nhwcToNchw|transpose_kernel|convertTensor|AddPadding", re.IGNORECASE)
_COPY = re.compile(r"direct_copy_kernel|^Memcpy")
_PRODUCT = re.compile(r"conv|gemm|addmm|bmm|aten::mm|linear|attention|fmha|sdpa|nvjet|gemv|splitK|cublas|xmma", re.I)
_GENERAL = re.compile(
    r"(?<!\d)sgemm|ffma|f32f32_f32f32_f32|simt|scudnn|gemv|conv2d_c1_k1|common_engine|conv_depthwise2d"
)
_POINTWISE = re.compile(
    r"batch_norm|layer_norm|bn_fw|elementwise"
    r"|aten::(add|mul|div|clamp|clamp_min|relu|gelu|silu|sigmoid|_?softmax|hardtanh)_?$"
)


def profiler_table(path: Path, steps: int) -> list[Row]:
    """The rows of PyTorch's table for a recorded profile of ``steps`` inferences, the most expensive first."""
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    names = {one["args"]["External id"]: one["name"] for one in events if one.get("cat") == "cpu_op"}
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in events:
        if one.get("cat") in ("kernel", "gpu_memset", "gpu_memcpy"):
            spent[names.get(one["args"].get("External id"), ""), one["name"]].append(one["dur"])
    rows = [Row(*key, sum(times) / steps, len(times) / steps) for key, times in spent.items()]
    return sorted(rows, key=lambda row: -row.time_us)


def operators(rows: Sequence[Row]) -> list[tuple[str, float, float]]:
    """Operators with their self time on the GPU in us and their launches, the most expensive first."""
    names = dict.fromkeys(row.operator for row in rows)
    sums = [
        (name, *(sum(getattr(row, what) for row in rows if row.operator == name) for what in ("time_us", "launches")))
        for name in names
    ]
    return sorted(sums, key=lambda row: -row[1])


def kind_of(row: Row) -> str:
    """What a person who knows the libraries' kernels would take the row for: a key of ``LOSSES``."""
    if row.kernel.startswith("Memset"):
        return "fills"
    if _LAYOUT.search(row.kernel):
        return "layout"
    if row.operator == "aten::copy_" or _COPY.search(row.kernel):
        return "copies"
    if _POINTWISE.search(row.operator or row.kernel):
        return "pointwise"
    if _PRODUCT.search(row.operator or row.kernel):
        return "general" if _GENERAL.search(row.kernel) else "products"
    return "other"


def dearest(rows: Sequence[Row], hta: Mapping[str, Any]) -> list[tuple[Loss, float]]:
    """The run's losses by what the tools show is spent on them, in us per inference; at most five.

    They overlap (a short kernel is why the GPU waits), and what is spent is not what can be saved.
    """
    spent: dict[str, float] = defaultdict(float)
    for row in rows:
        spent[kind_of(row)] += row.time_us
    busy_us = sum(spent.values())
    spent["idle"] = hta["idle_us"] / hta["steps"]
    spent["short"] = hta["short_launches_host_us"] / hta["steps"]
    worth = [(LOSSES[key], time_us) for key, time_us in spent.items() if time_us >= _LEAST_SHARE * busy_us]
    return sorted(worth, key=lambda pair: -pair[1])[:_TOP]
