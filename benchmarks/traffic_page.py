"""The page about traffic: errors by level, kind of layer and part of the rows, and where the theory is farthest off."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from counted_layers import Point
from traffic_rows import FITTED_NETWORK, FITTED_SWEEPS, GPU, LEAST_FOOTPRINT, Judged, gmae, judged, ratios_of

#: Aims, in percent, by level.
TARGETS = {"l1": 7.0, "l2": 6.0, "dram": 5.0}

#: Convolutions and products that the aims ask for.
ASKED = 100

#: Groups of the table's own rows, and what they are called.
KINDS = {"convolution": "convolutions", "matmul": "products"}

_NAMES = {"l1": "L1", "l2": "L2", "dram": "DRAM"}
_WORST = 8

Of = Callable[[Judged], Mapping[str, float]]


def page(rows: Sequence[dict[str, Any]], points: Sequence[Point], about: Mapping[str, Any]) -> str:
    counted = judged(rows, points)
    own = [row for row in counted if row.group != "sweep"]
    whole = sum(point.group in KINDS for point in points)
    shares = ", ".join(f"{sum(row.row['group'] == kind for row in own)} of {name}" for kind, name in KINDS.items())
    lines = [
        "# Traffic: the theory's bytes beside the hardware's",
        "",
        f"{about['system']}, {about['date']}." if about else "Nothing is counted yet: the table waits for its rows.",
        "Written by `benchmarks/h200_traffic.py`; rows in `benchmarks/results/h200_traffic.jsonl`.",
        "",
        "Each layer's fastest implementation from a cold L2 ran once under `ncu`, which empties the caches before "
        f"every launch: {len(own)} of {whole} layers so far ({shares}). The {len(counted) - len(own)} convolutions of "
        "`docs/sensitivity.md`, counted alike, are the *sweep* rows. The error is the geometric mean of the factor by "
        f"which the theory is off (GMAE). DRAM is judged on footprints of at least {LEAST_FOOTPRINT:g} times the L2 of "
        f"{GPU.l2.size_bytes / 2**20:.0f} MiB. L1 is judged where its counter sees the loads: tensor copies (TMA), "
        "which most bf16 kernels load by, pass it, so that it reads next to nothing there and no comparison is made.",
        "",
        *_parts(),
        "## With the kernel known",
        "",
        "Tile, cluster and division of K as the implementation's name tells them (`benchmarks/known_kernels.py`). "
        f"Missing are {sum(not row.known for row in counted)} rows: PyTorch's own choices, which have no such name, "
        "and those of cuDNN's engines of which one name stands for several kernels or does not tell the cluster.",
        "",
        *_table(counted, lambda row: row.known),
        "The same rows with physics alone:",
        "",
        *_table(counted, lambda row: row.physics),
        "## With the theory's own choice of kernel",
        "",
        "All counted layers; the theory is told the layer alone. What is added to the errors above is that it takes "
        "another tile, cluster or algorithm than the library. L1 and L2 depend on the tile directly.",
        "",
        *_table(counted, lambda row: row.chosen),
    ]
    for level in TARGETS:
        lines += _worst(counted, level)
    missing = [row for row in rows if "l1_bytes" not in row]
    if missing:
        reasons = sorted({row["reason"] for row in missing})
        lines += [f"Not counted: {len(missing)} layers ({'; '.join(reasons)}).", ""]
    return "\n".join(lines)


def _parts() -> list[str]:
    return [
        "## What is physics and what is learned",
        "",
        "Physics, with no constant of its own: every CTA loads its tile of A and B, once per cluster, without the "
        "padding; short or shifted rows touch more sectors than they fill; half of the bytes across DRAM belong to the "
        "other half of the L2 and are counted in both; operands are read again where CTAs come back to them after more "
        "bytes than the cache holds; what was written last is still in the cache when the kernel ends. Learned "
        "(`benchmarks/traffic_fit.py`; `Learned` and `LearnedFourier` say each one's meaning): which share of the L2 a "
        "sweep can use, how far CTAs drift apart, and so how many loads a neighbour's request is joined to, the share "
        "of plain loads that miss L1, and the cost of misaligned copies and of the transforms' short rows. "
        "The rows with *physics alone* leave these out: no request is joined, every plain load misses L1, no CTA "
        "drifts.",
        "",
        f"The constants were fitted on the convolutions of {FITTED_NETWORK}, every second product (by its shape's "
        f"checksum) and the sweeps of {' and '.join(FITTED_SWEEPS)}: *fitted* below. The other rows are *held out*: "
        "the fit did not see them. The form of the equations and the constants that the fit starts from, however, were "
        "found by looking at all rows that are counted so far, so the held-out errors are no errors on unseen data; "
        "the layers still to be counted are the test of that.",
        "",
    ]


def _table(rows: Sequence[Judged], of: Of) -> list[str]:
    lines = [
        "| layers | data type | rows | L1 GMAE (rows) | L2 GMAE (rows) | DRAM GMAE (rows) |",
        "|---|---|---|---:|---:|---:|",
    ]
    rows = [row for row in rows if of(row)]
    for group in dict.fromkeys(row.group for row in rows):
        for dtype in dict.fromkeys(row.row["dtype"] for row in rows):
            for fitted in (True, False):
                mine = [r for r in rows if (r.group, r.row["dtype"], r.fitted) == (group, dtype, fitted)]
                if mine:
                    lines.append(_line(group, dtype, "fitted" if fitted else "held out", mine, of))
    if not rows:
        return [*lines, ""]
    lines.append(_line("all", "", "held out", [row for row in rows if not row.fitted], of))
    lines.append(_line("all", "", "all", rows, of))
    targets = " | ".join(f"{target:g} %" for target in TARGETS.values())
    return [*lines, f"| *aim* | | {ASKED} | {targets} |", ""]


def _line(group: str, dtype: str, part: str, rows: Sequence[Judged], of: Of) -> str:
    cells = " | ".join(_error(ratios_of(rows, level, of)) for level in TARGETS)
    return f"| {group} | {dtype} | {part} {len(rows)} | {cells} |"


def _error(ratios: Sequence[float]) -> str:
    return f"{gmae(ratios):.1f} % ({len(ratios)})" if ratios else "–"


def _worst(rows: Sequence[Judged], level: str) -> list[str]:
    """The rows that are farthest off with their kernel known, then with the theory's own."""
    lines = []
    for title, of in (("the kernel known", lambda r: r.known), ("the theory's own kernel", lambda r: r.chosen)):
        mine = sorted((r for r in rows if level in of(r)), key=lambda r: -abs(math.log(of(r)[level])))[:_WORST]
        if not mine:
            continue
        lines += [f"## {_NAMES[level]}: farthest off with {title}", ""]
        lines += ["| layer | counted MB | predicted over counted | implementation |", "|---|---:|---:|---|"]
        for row in mine:
            how = row.row["implementation"]
            lines.append(
                f"| {row.row['key']} | {row.row[f'{level}_bytes'] / 1e6:,.1f} | {of(row)[level]:.2f} | "
                f"{how['backend']} {how['name']} |"
            )
        lines.append("")
    return lines
