"""The page behind ``network_bounds.py page``: framework runs beside the fused bounds that the database gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headroom as hr
from bound_networks import BOUNDS
from headroom.api import Analysis
from headroom.graph.graph import Graph
from network_bounds import FILE, read
from record import DATA, RESULTS, ROOT, write_result

#: A run this much below its bound says that the bound is none.
MOST_BELOW = 0.02

#: Share of a bound that is measured, from which on all of it is: what is left are layers of nanoseconds.
WHOLE = 0.995

_COLUMNS = {
    "channels-last": "eager",
    "channels-last cuda-graph": "CUDA graph",
    "channels-last compile reduce-overhead": "compile, reduce-overhead",
    "channels-last compile max-autotune": "compile, max-autotune",
}
_SHOWN = 12


@dataclass(frozen=True)
class Case:
    """One network at one batch in one data type. ``runs`` holds its rows by mode; times in microseconds.

    ``parts`` are what the fused bound is made of: a title and a time for every kernel or layer of it.
    """

    network: str
    batch: int
    dtype: str
    fused_us: float
    measured_share: float
    runs: dict[str, dict[str, Any]]
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def fastest(self) -> dict[str, Any] | None:
        timed = [row for row in self.runs.values() if row["median_us"] is not None and row["status"] == "ok"]
        return min(timed, key=lambda row: row["median_us"], default=None)

    @property
    def ratio(self) -> float | None:
        """The fastest run over the bound: 1 is a run at its bound."""
        return None if self.fastest is None else self.fastest["median_us"] / self.fused_us

    @property
    def is_broken(self) -> bool:
        return self.ratio is not None and self.ratio < 1 - MOST_BELOW


def write(folder: Path | None) -> None:
    """Write ``docs/bounds.md`` and ``benchmarks/results/network_bounds.json``."""
    cases = list(cases_of(read(RESULTS / FILE), (folder or DATA) / "models"))
    figures = [
        {
            "network": case.network, "batch": case.batch, "dtype": case.dtype, "fused_us": case.fused_us,
            "measured_share": case.measured_share, "fastest": case.fastest and case.fastest["mode"],
            "ratio": case.ratio,
        }
        for case in cases
    ]  # fmt: skip
    write_result("network_bounds", {"rows": figures})
    (ROOT / "docs" / "bounds.md").write_text(text(cases))


def cases_of(rows: Iterable[dict[str, Any]], models: Path) -> Iterable[Case]:
    """The rows of each network together, with the bound of its layers."""
    groups: dict[tuple[str, int, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        name = row["model"].rpartition(":")[2]
        groups.setdefault((name, row["batch"], row["dtype"]), {})[row["mode"]] = row
    for (name, batch, dtype), runs in sorted(groups.items()):
        graph = hr.load(models / BOUNDS.get(name, f"{name}.onnx"), batch=batch)
        answer = hr.analyze(graph, "h200", dtype)
        bounds = answer.bounds
        fused = bounds.fused_us if bounds.fused_us is not None else bounds.sequential_us
        yield Case(name, batch, dtype, fused, bounds.fused_measured_share or 0.0, runs, parts_of(graph, answer))


def parts_of(graph: Graph, answer: Analysis) -> tuple[tuple[str, float], ...]:
    """What the fused bound adds up: its chains, and the layers that are in none of them; equal ones together."""
    chained = {index for group in answer.fused for index in group.layers}
    found = [(" + ".join(group.steps), group.layers[-1], group.fused_us) for group in answer.fused]
    for one in answer.answers:
        found += [(one.layer.step, i, one.prediction.time_us or 0.0) for i in one.indices if i not in chained]
    times: dict[str, list[float]] = {}
    for steps, last, time_us in found:
        shape = "x".join(str(size) for size in graph.layers[last].outputs[0].shape)
        times.setdefault(f"{steps} to {shape}", []).append(time_us)
    parts = [(f"{len(each)} of {title}", sum(each)) for title, each in times.items()]
    return tuple(sorted(parts, key=lambda part: -part[1]))


def text(cases: list[Case]) -> str:
    broken = [case for case in cases if case.is_broken]
    whole = [case for case in cases if case.measured_share >= WHOLE]
    networks = len({case.network for case in cases})
    lines = [
        "# Is the bound a bound?",
        "",
        f"{networks} networks as PyTorch runs them on an H200, beside the fused lower bound that the database gives",
        "for the same layers. Times are microseconds per inference, channels-last, inferences in a row with host time",
        "included; *measured* is the share of the bound that rests on measurements. *Below* marks a run that is faster",
        f"than its bound by more than {100 * MOST_BELOW:.0f} %. Written by `benchmarks/network_bounds.py`.",
        "",
        f"Runs below their bound: {len(broken)} of {len(cases)} cases. In {len(whole)} of them all of the bound is",
        f"measured, in {len(cases) - len(whole)} some of it is predicted: there the bound is as good as the theory.",
        "",
        "| network | batch | data type | fused bound | measured | "
        + " | ".join(_COLUMNS.values())
        + " | fastest / bound |",
        "|---|---:|---|---:|---:|" + "---:|" * (len(_COLUMNS) + 1),
    ]
    lines += [line_of(case) for case in cases]
    for case in broken:
        lines += ["", f"## Below its bound: {case.network}, batch {case.batch}, {case.dtype}", "", *explained(case)]
    return "\n".join([*lines, ""])


def line_of(case: Case) -> str:
    times = [shown(case.runs.get(mode)) for mode in _COLUMNS]
    ratio = "" if case.ratio is None else f"{case.ratio:.2f}{' below' if case.is_broken else ''}"
    cells = [
        case.network,
        str(case.batch),
        case.dtype,
        f"{case.fused_us:.0f}",
        f"{case.measured_share:.0%}",
        *times,
        ratio,
    ]
    return "| " + " | ".join(cells) + " |"


def shown(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return row["status"] if row["median_us"] is None or row["status"] != "ok" else f"{row['median_us']:.0f}"


def explained(case: Case) -> list[str]:
    """The fastest run and the bound side by side, kernel by kernel."""
    assert case.fastest is not None
    head = f"`{case.fastest['mode']}` takes {case.fastest['median_us']:.1f} us where the bound is {case.fused_us:.1f}."
    kernels = case.fastest["kernels"][:_SHOWN]
    ran = [f"| `{k['name'][:100].replace('|', ' ')}` | {k['count']:.0f} | {k['total_us']:.1f} |" for k in kernels]
    bound = [f"| {title} | {time_us:.1f} |" for title, time_us in case.parts[:_SHOWN]]
    return [
        head, "", "What ran longest:", "", "| kernel | launches | us |", "|---|---:|---:|", *ran,
        "", "What the bound holds longest:", "", "| kernel or layer | us |", "|---|---:|", *bound,
    ]  # fmt: skip
