"""``docs/matching.md``, from ``benchmarks/results/matching.json``."""

from __future__ import annotations

import statistics
from typing import Any

COLUMNS = (
    "profile", "launches", "GPU us", "in layers", "beside layers", "unknown", "layers run", "latency us",
    "same without calls", "ms",
)  # fmt: skip

PAGE = """# Profiles laid over models

<!-- Written by benchmarks/matching.py; do not edit. -->

`headroom analyze MODEL --profile TRACE` gives every kernel, copy and fill of a recorded run to the layers that it ran,
or to a purpose that no layer asks for (a transpose of the layout, a cast, a copy, a fill, padding) and the layer that
it served. Operators are recognised by their names and dimensions. A replayed CUDA graph tells no operators: there the
kernels' names, their grids and their order have to do. {traces} traces of {networks} networks, recorded on an H200
(`benchmarks/results/profiles`), were laid over graphs read from ONNX files of the same networks:

| | median | least |
|---|---|---|
| GPU time explained, eager runs ({eager_count}) | {eager_median:.2%} | {eager_least:.2%} |
| GPU time explained, replayed CUDA graphs ({graph_count}) | {graph_median:.2%} | {graph_least:.2%} |
| GPU time in layers, all runs | {in_layers_median:.2%} | {in_layers_least:.2%} |
| convolutions, matrix products and attentions that found their kernels | {found_median:.2%} | {found_least:.2%} |

*Explained* is the time in layers and beside them: up to {beside_most:.0%} of a channels-first run goes to transposes
and casts, which are no layer's work.

Is the layer the right one? A replayed graph runs the kernels of the eager run in the same order, so the operators of
the one check the layers found for the other: of {replayed} launches that both have, {replayed_same}
({replayed_share:.2%}) got the same layer or purpose. So did {stripped_share:.2%} of the {stripped} launches of the
eager runs when all operators were taken out of their profiles. Matching took {ms_median:.0f} ms in the median and
{ms_most:.0f} ms at most ({machine}).

## Refusals

Every trace was laid over every graph of the data folder as well: {graphs} graphs, two networks at other batches among
them ({batches}). Of {wrong} wrong pairs, {refused} were refused ({refused_share:.2%}), and of {right} right ones
{accepted} were accepted. A graph counts as right where its convolutions, matrix products and attentions are those of
the network that ran, in the same order: {same}. {mistakes}

| reason | pairs |
|---|---|
{reasons}

## Profile by profile

{table}

*In layers*, *beside layers* and *unknown* are shares of the GPU's time. *Layers run* counts those that launch something
whatever runs them. *Latency* is what the profiler saw; it slows an eager host down. *Same without calls*: launches that
get the same layer or purpose when no operator is known; of a replayed graph, those that get what the same kernel of the
eager run got.
"""


def page(result: dict[str, Any]) -> str:
    rows = result["profiles"]
    replayed_same, replayed = (sum(row[key] or 0 for row in rows) for key in ("replayed_same", "replayed"))
    stripped = [row for row in rows if row["stripped_same"] is not None]
    launches = sum(row["launches"] for row in stripped)
    same = sorted({pair["graph"] for pair in result["pairs"] if pair["right"] and not pair["own"]})
    milliseconds = [row["milliseconds"] for row in rows]
    return PAGE.format(
        traces=len(rows),
        networks=len({row["profile"].rsplit("-", 2)[0] for row in rows}),
        replayed=f"{replayed:,}",
        replayed_same=f"{replayed_same:,}",
        replayed_share=replayed_same / replayed,
        stripped=f"{launches:,}",
        stripped_share=sum(row["stripped_same"] for row in stripped) / launches,
        ms_median=statistics.median(milliseconds),
        ms_most=max(milliseconds),
        machine=result["about"]["machine"],
        graphs=len(result["graphs"]),
        batches=", ".join(f"`{name}`" for name in result["graphs"] if "@" in name),
        refused_share=result["refused"] / result["wrong"],
        same=", ".join(f"`{name}`" for name in same) or "none besides",
        mistakes=_mistakes(result["pairs"]),
        reasons="\n".join(f"| {reason} | {count:,} |" for reason, count in result["reasons"].items()),
        table="\n".join(_table(rows)),
        beside_most=max(row["explained_share"] - row["matched_share"] for row in rows),
        **_shares(rows),
        **{name: f"{result[name]:,}" for name in ("wrong", "refused", "right", "accepted")},
    )


def _shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The counts, medians and least of the shares in the first table."""
    graphs = [row for row in rows if row["profile"].endswith("_graph")]
    eager = [row for row in rows if row not in graphs]
    found: dict[str, float] = {}
    for name, chosen, key in (
        ("eager", eager, "explained_share"),
        ("graph", graphs, "explained_share"),
        ("in_layers", rows, "matched_share"),
        ("found", rows, "found_share"),
    ):
        shares = [row[key] for row in chosen]
        found |= {
            f"{name}_count": len(shares),
            f"{name}_median": statistics.median(shares),
            f"{name}_least": min(shares),
        }
    return found


def _mistakes(pairs: list[dict[str, Any]]) -> str:
    mistaken = [pair for pair in pairs if pair["right"] == (pair["reason"] is not None)]
    listed = [f"`{pair['profile']}` over `{pair['graph']}`: {pair['reason'] or 'accepted'}" for pair in mistaken]
    return "The mistakes: " + "; ".join(listed) + "." if listed else "There was no mistake."


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        replayed = row["stripped_same"] is None
        same = (row["replayed_same"], row["replayed"]) if replayed else (row["stripped_same"], row["launches"])
        cells = (
            row["profile"],
            row["launches"],
            f"{row['gpu_us']:.0f}",
            f"{row['matched_share']:.1%}",
            f"{row['explained_share'] - row['matched_share']:.1%}",
            f"{1 - row['explained_share']:.2%}",
            f"{row['run_share']:.1%}",
            f"{row['latency_us']:.0f}",
            f"{same[0]} of {same[1]}",
            f"{row['milliseconds']:.0f}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines
