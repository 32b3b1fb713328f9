"""The page behind ``network_bounds.py page``: framework runs beside the fused bounds that the database gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headroom as hr
from bound_networks import BOUNDS
from network_bounds import FILE, read
from record import DATA, RESULTS, ROOT, write_result

#: A run this much below its bound says that the bound is none.
MOST_BELOW = 0.02

_COLUMNS = {
    "channels-last": "eager",
    "channels-last cuda-graph": "CUDA graph",
    "channels-last compile reduce-overhead": "compile, reduce-overhead",
    "channels-last compile max-autotune": "compile, max-autotune",
}
_SHOWN_KERNELS = 8


@dataclass(frozen=True)
class Case:
    """One network at one batch in one data type. ``runs`` holds its rows by mode; times in microseconds."""

    network: str
    batch: int
    dtype: str
    fused_us: float
    source: str
    runs: dict[str, dict[str, Any]]

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
            "source": case.source, "fastest": case.fastest and case.fastest["mode"], "ratio": case.ratio,
        }
        for case in cases
    ]  # fmt: skip
    write_result("network_bounds", {"rows": figures})
    (ROOT / "docs" / "bounds.md").write_text(text(cases))


def cases_of(rows: Iterable[dict[str, Any]], models: Path) -> Iterable[Case]:
    """The rows of each network together, with the bound of its layers."""
    groups: dict[tuple[str, int, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        name = row["model"].rpartition(":")[2] if ":" in row["model"] else Path(row["model"]).stem
        groups.setdefault((name, row["batch"], row["dtype"]), {})[row["mode"]] = row
    for (name, batch, dtype), runs in sorted(groups.items()):
        graph = hr.load(models / BOUNDS.get(name, f"{name}.onnx"), batch=batch)
        answer = hr.analyze(graph, "h200", dtype)
        bounds = answer.bounds
        fused = bounds.fused_us if bounds.fused_us is not None else bounds.sequential_us
        yield Case(name, batch, dtype, fused, share_measured(answer), runs)


def share_measured(answer: Any) -> str:
    """How much of the sequential bound comes from measured layers."""
    layers = answer.to_dict()["layers"]
    total = sum(layer["time_us"] * layer["count"] for layer in layers if layer["time_us"])
    measured = sum(layer["time_us"] * layer["count"] for layer in layers if layer["source"] == "measured")
    return f"{100 * measured / total:.0f} % measured" if total else "nothing known"


def text(cases: list[Case]) -> str:
    broken = [case for case in cases if case.is_broken]
    networks = len({case.network for case in cases})
    lines = [
        "# Is the bound a bound?",
        "",
        f"{networks} networks as PyTorch runs them on an H200, beside the fused lower bound that the database gives",
        "for the same layers. Times are microseconds per inference, channels-last, inferences in a row with host time",
        "included; a bound's source says how much of it rests on measured layers. *Below* marks a run that is faster",
        f"than its bound by more than {100 * MOST_BELOW:.0f} %. Written by `benchmarks/network_bounds.py`.",
        "",
        f"Runs below their bound: {len(broken)} of {len(cases)} cases.",
        "",
        "| network | batch | data type | fused bound | source | "
        + " | ".join(_COLUMNS.values())
        + " | fastest / bound |",
        "|---|---:|---|---:|---|" + "---:|" * (len(_COLUMNS) + 1),
    ]
    lines += [line_of(case) for case in cases]
    for case in broken:
        lines += ["", f"## Below its bound: {case.network}, batch {case.batch}, {case.dtype}", "", *explained(case)]
    return "\n".join([*lines, ""])


def line_of(case: Case) -> str:
    times = [shown(case.runs.get(mode)) for mode in _COLUMNS]
    ratio = "" if case.ratio is None else f"{case.ratio:.2f}{' below' if case.is_broken else ''}"
    cells = [case.network, str(case.batch), case.dtype, f"{case.fused_us:.0f}", case.source, *times, ratio]
    return "| " + " | ".join(cells) + " |"


def shown(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return row["status"] if row["median_us"] is None or row["status"] != "ok" else f"{row['median_us']:.0f}"


def explained(case: Case) -> list[str]:
    """The kernels of the fastest run, the longest first."""
    assert case.fastest is not None
    head = f"`{case.fastest['mode']}` takes {case.fastest['median_us']:.1f} us where the bound is {case.fused_us:.1f}."
    kernels = case.fastest["kernels"][:_SHOWN_KERNELS]
    table = [f"| `{k['name'][:100].replace('|', ' ')}` | {k['count']:.0f} | {k['total_us']:.1f} |" for k in kernels]
    return [head, "", "| kernel | launches | us |", "|---|---:|---:|", *table] if table else [head]
