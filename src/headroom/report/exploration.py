"""An exploration as JSON and CSV. The keys and their meaning are published in ``schema/exploration-1.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from headroom._version import __version__
from headroom.figures import rounded, whole
from headroom.gpu.designs import field_values
from headroom.predict.explore.explore import Exploration, shares_of
from headroom.predict.explore.figures import LIMITS
from headroom.report.csv_table import csv_cell, csv_line
from headroom.report.schemas import read_schema
from headroom.text import clean

#: Raised when a key changes its meaning or goes; a new key does not raise it.
SCHEMA_VERSION = 1

#: Impossible designs that an answer spells out.
_MOST_REASONS = 20


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``headroom explore --json`` writes."""
    return read_schema("exploration", SCHEMA_VERSION)


def to_dict(explored: Exploration) -> dict[str, Any]:
    """The whole answer, per the published schema."""
    return {**_head(explored), "designs": list(_designs(explored))}


def json_chunks(explored: Exploration) -> Iterator[str]:
    """The text of a JSON file, piece by piece: a large exploration is never held as text."""
    head = json.dumps(_head(explored), indent=1, ensure_ascii=False, allow_nan=False)
    yield head.removesuffix("\n}") + ',\n "designs": ['
    for at, design in enumerate(_designs(explored)):
        yield ("\n  " if at == 0 else ",\n  ") + json.dumps(design, ensure_ascii=False, allow_nan=False)
    yield "\n ]\n}\n"


def csv_chunks(explored: Exploration) -> Iterator[str]:
    """One row per possible design: what it changes, its figures, and the share of its time by bottleneck."""
    axes = [axis.name for axis in explored.space.axes]
    limits = [str(limit) for limit in LIMITS]
    yield csv_line(["design", *axes, *_FIGURES, *(f"limited by {limit}" for limit in limits)])
    for design in _designs(explored):
        shares = design["limited_by"]
        settings = [design["changes"].get(axis, "x1") for axis in axes]
        cells = [design["name"], *settings, *(design[name] for name in _FIGURES), *(shares.get(n, 0.0) for n in limits)]
        yield csv_line([csv_cell(cell) for cell in cells])


_FIGURES = ("time_us", "error_pct", "speedup", "cost", "on_front", "dram_bytes")


def impossible_text(explored: Exploration) -> str:
    """A sentence about the designs that no GPU can be; empty where there are none."""
    reasons = explored.sheets.impossible
    if not reasons:
        return ""
    first = min(reasons)
    which = f"{len(reasons)} of {len(explored.space)} designs are no possible GPUs and left out"
    return f"{which}: {explored.space.name(first)}: {reasons[first]}"


def notes_of(explored: Exploration) -> list[str]:
    """What a reader has to know beside the figures."""
    notes = [impossible_text(explored)]
    if explored.left_out:
        kinds = sorted({str(layer.kind) for layer in explored.left_out})
        count = len(explored.left_out)
        notes.append(
            f"theory {explored.theory} knows nothing of {count} of the model's layer configurations "
            f"({', '.join(kinds)}): no figure contains them"
        )
    notes += [f"{axis} changes no time here under theory {explored.theory}" for axis in explored.idle_axes]
    notes.append(explored.calibration_note)
    return [note for note in notes if note]


def _head(explored: Exploration) -> dict[str, Any]:
    base, cost = explored.base, explored.cost
    return {
        "schema_version": SCHEMA_VERSION,
        "headroom_version": __version__,
        "model": clean(explored.graph.name),
        "batch": explored.graph.batch,
        "gpu": clean(explored.gpu.id),
        "gpu_name": clean(explored.gpu.name),
        "dtype": explored.dtype.value,
        "l2": explored.l2_state,
        "theory": explored.theory,
        "calibration": clean(explored.calibration),
        "cost": None if cost is None else {"name": clean(cost.name), "unit": clean(cost.unit)},
        "axes": [
            {"name": axis.name, "fields": list(axis.fields), "settings": [setting.text for setting in axis.settings]}
            for axis in explored.space.axes
        ],
        "base": {
            "time_us": rounded(float(base.time_us[0])),
            "error_pct": _finite(100.0 * base.error_us[0] / base.time_us[0]),
            "cost": rounded(explored.base_cost),
            "dram_bytes": whole(base.dram_bytes[0]),
            "limited_by": {str(limit): rounded(share) for limit, share in shares_of(base, 0).items()},
        },
        "impossible": {
            "count": len(explored.sheets.impossible),
            "examples": [
                {"design": clean(explored.space.name(at)), "reason": reason}
                for at, reason in sorted(explored.sheets.impossible.items())[:_MOST_REASONS]
            ],
        },
        "left_out": [{"name": clean(layer.name), "kind": str(layer.kind)} for layer in explored.left_out],
        "notes": [clean(note) for note in notes_of(explored)],
    }


def _designs(explored: Exploration) -> Iterator[dict[str, Any]]:
    own = field_values(explored.gpu)
    errors, speedups = explored.error_pcts, explored.speedups
    columns = explored.sheets.columns
    changed = {name: values for name, values in columns.items() if bool(np.any(values != own.get(name)))}
    for at, design in enumerate(explored.possible):
        index = int(design)
        differs = {name: float(v[index]) for name, v in changed.items() if v[index] != own.get(name)}
        yield {
            "name": clean(explored.space.name(index)),
            "changes": explored.space.changes(index),
            "sheet": {name: rounded(value) for name, value in differs.items()},
            "time_us": rounded(float(explored.figures.time_us[at])),
            "error_pct": _finite(errors[at]),
            "speedup": rounded(float(speedups[at])),
            "cost": None if explored.costs is None else rounded(float(explored.costs[at])),
            "on_front": None if explored.on_front is None else bool(explored.on_front[at]),
            "dram_bytes": whole(explored.figures.dram_bytes[at]),
            "limited_by": {str(limit): rounded(share) for limit, share in explored.shares(at).items()},
        }


def _finite(value: float) -> float | None:
    return rounded(float(value)) if math.isfinite(value) else None
