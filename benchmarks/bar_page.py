"""The part of ``docs/accuracy.md`` about error bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from headroom.predict.error_sums import COMMON_SHARE
from network_bars import by_family

#: Of a table's rows, the shares between which an error bar counts as neither too narrow nor too wide.
LEAST_SHARE, MOST_SHARE = 0.85, 0.95

#: Rows below which one row more or less decides.
FEW = 60

INTRODUCTION = """## Error bars

An error bar is made to hold nine of ten rows. Held-out rows alone make it, and here it is judged on rows that it was
not made from: a fifth of a table's held-out rows is left out at a time. *Inside* is with the source's own scale,
constant and (NeuSight) drift, as everywhere on this page; *unscaled* keeps the scale as predicted; *raw* takes nothing
off, so that a launch gap of 100 us counts as the theory's error. *Unlike* is the bar that the table's GPU would get if
nothing of its architecture had been measured: that of its nearest relatives, {factor:g} times as wide.
"""

THROTTLED = "its clock fell by half, by how long a row took: no figure of a sheet says so"

REASONS = {
    ("t4", "Benanza"): THROTTLED,
    ("t4", "NeuSight conv WINOGRAD_NONFUSED"): "shares its bar with Benanza's throttled rows",
    ("m40", "DeepBench"): "nothing of Maxwell was fitted on: it has the wider bar of a stranger",
    ("v100-sxm2-16gb", "Benanza IMPLICIT_GEMM"): "shares the usual kernels' bar",
}


def error_bars(result: Mapping[str, Any]) -> Iterator[str]:
    rows = result["coverage"]
    yield INTRODUCTION.format(factor=result["unlike_factor"])
    yield "| source | GPU | rows | scale | error bar % | inside | unscaled | raw | unlike: bar % | inside | unscaled |"
    yield "|" + "---|" * 11
    for row in rows:
        yield (
            f"| {row['source']} | {row['gpu']} | {row['rows']} | {row['scale']:.2f} | {row['bar_pct']:.1f} "
            f"| {_share(row['inside_share'])} | {_share(row['unscaled_share'])} | {_share(row['raw_share'])} "
            f"| {row['unlike_bar_pct']:.1f} | {_share(row['unlike_share'])} | {_share(row['unlike_unscaled_share'])} |"
        )
    yield ""
    yield from _outside(rows)
    yield from _unlike(rows)
    yield from _gradients(result["unseen_gradients"])
    yield from _sums(result["lbl_networks"])


def _outside(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    within = [row for row in rows if LEAST_SHARE <= row["inside_share"] <= MOST_SHARE]
    yield f"Of {len(rows)} tables {len(within)} have between 85 and 95 % of their rows inside. The others:\n"
    for row in rows:
        if row not in within:
            yield f"- {row['source']} on {row['gpu']}, {_share(row['inside_share'])} of {row['rows']}: {reason(row)}."
    yield ""


def reason(row: Mapping[str, Any]) -> str:
    """Why a table's share of rows is not what the bar was made for."""
    for (gpu, source), why in REASONS.items():
        if row["gpu"] == gpu and row["source"].startswith(source):
            return why
    if row["rows"] < FEW:
        return f"of {row['rows']} rows each is {100 / row['rows']:.0f} %, and so few scatter by several"
    return "it shares its bar with tables that are predicted worse or better"


def _unlike(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    many = [row for row in rows if row["gpu"] != "t4"]
    shares = [sum(row[name] for row in many) / len(many) for name in ("unlike_share", "unlike_unscaled_share")]
    yield (
        f"With the bars of strangers a table has on average {_share(shares[0])} of its rows inside, "
        f"{_share(shares[1])} unscaled (without the T4, which throttles)."
    )
    yield "A stranger's scale is part of what its bar promises; single tables lie far on either side.\n"


GRADIENTS = """### Gradients

Input and weight gradients have constants and bars of their own on plain units, fitted on Pascal. Elsewhere (all tensor
cores, and Hopper's plain units) forward kernels' constants predict them, and no forward layer says how well. These
tables do: each is predicted with everything forgotten that was fitted on gradients, DeepBench's with the scale and
constant of the source's forward rows, the H200's as they are. *Slower* is how many times as long as predicted the
median row took, *gmae* the geometric mean error. The bar of strangers is made from the same gradient's tables of other
GPUs and data types; that of kin, where there is one, from other networks on the same GPU.

What nobody timed has a bar made from all of these tables, which is not widened further: what it was made from are
strangers already. A depthwise convolution's gradients get it too. The H200's gradients in bf16 have one made from their
own rows, which took up to 22 us; from 300 us on they have that of what nobody timed.

The kernels that run an input gradient of longer steps walk over all taps of the filter, also over those that meet no
value of what they read: counted so, the H200's are 1.0 to 1.3 times as long as predicted, and without that they were
up to 2.3 times as long.
"""


def _gradients(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield GRADIENTS
    yield (
        "| gradient | source | GPU | type | unit | rows | slower | median % off | gmae % | strangers' bar % | inside "
        "| kin's bar % | inside |"
    )
    yield "|" + "---|" * 13
    for row in rows:
        kin = f"{row['own_bar_pct']:.1f} | {_share(row['own_inside_share'])}" if "own_bar_pct" in row else " | "
        yield (
            f"| {row['kind']} | {row['source']} | {row['gpu']} | {row['dtype']} | {row['unit']} | {row['rows']} "
            f"| {row['slower']:.2f} | {row['median_pct']:.1f} | {row['gmae_pct']:.1f} "
            f"| {row['bar_pct']:.1f} | {_share(row['inside_share'])} | {kin} |"
        )
    yield "\nThe T4's weight gradients on tensor cores take 2.5 times as long as predicted, the H200's do not: what the"
    yield "first tensor cores' kernels for them do is not known here.\n"


def _sums(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows or "fused_error_pct" not in rows[0]:
        return
    yield "### Sums\n"
    sequential = [_is_inside(row, "", row["error_pct"]) for row in rows]
    linear = [_is_inside(row, "", row["mean_bar_pct"]) for row in rows]
    apart = [_is_inside(row, "", row["apart_bar_pct"]) for row in rows]
    fused = [_is_inside(row, "fused_", row["fused_error_pct"]) for row in rows if row["fused_measured_us"]]
    yield (
        f"The measured sequential bound lies inside its error bar for {_share(fmean(sequential))} of {len(rows)} sums "
        f"over networks that were left out of the fit, the fused bound for {_share(fmean(fused))}."
    )
    yield f"A sequential bound's bar takes {_share(COMMON_SHARE)} of the variance of its layers' errors as common to"
    yield f"all of them. All of it (the mean of their bars) holds {_share(fmean(linear))}, none {_share(fmean(apart))}."
    yield "The fused bound's bar is the mean of its parts'.\n"
    yield "Each family of networks, with the common share that the others alone would give:\n"
    yield "| family | sums | common share | inside |"
    yield "|---|---|---|---|"
    families = by_family(rows)
    for family in families:
        names = family["family"] or "others"
        yield f"| {names} | {family['sums']} | {family['common_share']:.2f} | {family['inside']} |"
    inside = sum(family["inside"] for family in families)
    yield f"| all | {len(rows)} | | {inside} ({_share(inside / len(rows))}) |\n"


def _is_inside(row: Mapping[str, Any], bound: str, error_pct: float) -> bool:
    return bool(100 * abs(row[f"{bound}measured_us"] / row[f"{bound}predicted_us"] - 1) <= error_pct)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
