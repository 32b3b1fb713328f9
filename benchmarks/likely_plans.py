"""What is lost where only those implementations are tried that were fast at a few other widths of the same layer.

    python benchmarks/likely_plans.py DATABASE

Reads rows of all plans at many widths (``staircases.py``, ``tail_effect.py``) and writes ``results/likely_plans.json``
and ``docs/likely-plans.md``. Each staircase is played back: everything is known at
:func:`~headroom.change.widths.staircase.exhaustive.anchors_of` its widths, between them only what lies within a factor
of the best at any of those. Beside it stands what the libraries' heuristics propose first.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.change.widths.staircase.exhaustive import LIKELY, anchors_of, fast
from headroom.change.widths.staircase.layers import is_tied
from headroom.change.widths.staircase.study import Subject
from headroom.change.widths.staircase.table import layers_at
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.store import Store
from record import ROOT, write_result
from staircases import SUBJECTS as SWEPT
from tail_effect import SUBJECTS as FIGURES

FACTORS = (1.1, LIKELY, 1.6)

#: Fewer widths than these show nothing.
LEAST_WIDTHS = 8


@dataclass(frozen=True)
class Known:
    """A staircase whose rows hold every plan: by width the times of those that have one."""

    name: str
    dtype: DataType
    times_us: dict[int, dict[Implementation, float]]
    rows: dict[int, Sequence[Timing]]


def main(database: Path) -> None:
    with Store.open(database, read_only=True) as store:
        known = [each for each in staircases(store) if len(each.times_us) >= LEAST_WIDTHS]
    rows = [judge(each, factor) for each in known for factor in FACTORS]
    write_result("likely_plans", {"factor": LIKELY, "rows": rows})
    (ROOT / "docs" / "likely-plans.md").write_text(page(rows))


def staircases(store: Store) -> Iterator[Known]:
    (summary,) = store.systems()
    seen: set[tuple[str, DataType]] = set()
    for subject, dtype in (*SWEPT, *FIGURES):
        every = store.finished(summary.system, dtype, "all")
        chains = {width: chain for width, chain in chains_of(subject).items() if chain.digest in every}
        fresh = {width: chain for width, chain in chains.items() if (chain.digest, dtype) not in seen}
        seen.update((chain.digest, dtype) for chain in fresh.values())
        rows = {width: store.timings(chain.digest, summary.system, dtype) for width, chain in fresh.items()}
        times = {width: times_of(found) for width, found in rows.items()}
        yield Known(title(subject), dtype, {width: found for width, found in times.items() if found}, rows)


def chains_of(subject: Subject) -> dict[int, Chain]:
    in_width = 0 if is_tied(subject.layer) else subject.in_widths[0]
    return {width: Chain.of([layer]) for width, layer in layers_at(subject.layer, subject.out_widths, in_width)}


def times_of(rows: Sequence[Timing]) -> dict[Implementation, float]:
    return {
        row.implementation: row.median_us
        for row in rows
        if row.l2 == "warm" and row.status is Status.OK and row.median_us is not None
    }


def title(subject: Subject) -> str:
    layer = subject.layer
    return f"{'x'.join(map(str, layer.inputs[0].shape))}, filters {'x'.join(map(str, layer.weights[0].shape[2:]))}"


def judge(known: Known, factor: float) -> dict[str, Any]:
    """Mean and worst loss over the widths between the anchors, and the share of implementations that is tried."""
    widths = sorted(known.times_us)
    anchors = anchors_of(widths)
    likely = {each for width in anchors for each in fast(known.rows[width], factor)}
    losses, shares = [], []
    for width in set(widths) - set(anchors):
        times = known.times_us[width]
        tried = [times[each] for each in likely if each in times]
        losses.append(100 * (min(tried) / min(times.values()) - 1) if tried else float("inf"))
        offered = {row.implementation for row in known.rows[width] if row.l2 == "warm"}
        shares.append(len(likely & offered) / len(offered))
    return {
        "layer": known.name,
        "dtype": str(known.dtype),
        "widths": len(widths),
        "anchors": list(anchors),
        "factor": factor,
        "tried_share": statistics.fmean(shares),
        "mean_loss_pct": statistics.fmean(losses),
        "worst_loss_pct": max(losses),
        "between": len(losses),
    }


def page(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "# Which implementations are worth trying at a width",
        "",
        "cuDNN lists up to ninety plans for a convolution, and an exhaustive sweep over the widths of a layer would",
        "try each at each width. Here everything is tried at both ends and at multiples of a power of two between",
        "them, and at the other widths only what was within a factor of the best at any of those. What that loses on",
        "an H200, against the best of all, at widths where all plans were measured. Written by",
        "`benchmarks/likely_plans.py`.",
        "",
        "| layer | type | widths | tried in full | factor | tried between % | mean loss % | worst % |",
        "|---|---|---:|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['layer']} | {row['dtype']} | {row['widths']} | {', '.join(map(str, row['anchors']))} "
        f"| {row['factor']:g} | {100 * row['tried_share']:.0f} | {row['mean_loss_pct']:.2f} "
        f"| {row['worst_loss_pct']:.1f} |"
        for row in rows
    ]
    lines.append("")
    for factor in FACTORS:
        its = [row for row in rows if row["factor"] == factor]
        widths = sum(row["between"] for row in its)
        mean, share = (
            sum(row[key] * row["between"] for row in its) / widths for key in ("mean_loss_pct", "tried_share")
        )
        taken = " (taken)" if factor == LIKELY else ""
        lines.append(
            f"Factor {factor:g}{taken}: {100 * share:.0f} % of the implementations, mean loss {mean:.2f} % over "
            f"{widths} widths, worst {max(row['worst_loss_pct'] for row in its):.1f} %."
        )
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
