"""A plan of widths as JSON. The keys and their meaning are published in ``schema/fit-1.json``."""

from __future__ import annotations

import json
from typing import Any

from headroom._version import __version__
from headroom.change.widths.fit.plan import GroupMove, LayerChange, Plan
from headroom.change.widths.fit.stands import Side, Stand
from headroom.change.widths.staircase.curve import Point
from headroom.figures import rounded
from headroom.report.schemas import read_schema
from headroom.text import clean

#: Raised when a key changes its meaning or goes; a new key does not raise it.
SCHEMA_VERSION = 1


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``headroom fit --json`` writes."""
    return read_schema("fit", SCHEMA_VERSION)


def to_dict(plan: Plan) -> dict[str, Any]:
    """The whole plan, per the published schema."""
    clock, rival = plan.space.clock, plan.choice.rival_us
    return {
        "schema_version": SCHEMA_VERSION,
        "headroom_version": __version__,
        "model": clean(plan.space.network.graph.name),
        "gpu": clean(clock.gpu.id),
        "gpu_name": clean(clock.gpu.name),
        "system": None if clock.measurements is None else clean(clock.measurements.system.title),
        "dtype": clock.dtype.value,
        "l2": clock.l2,
        "batch": plan.space.network.graph.batch,
        "goal": plan.goal.name,
        "saves_asked": plan.asked.saves,
        "tolerance_asked": plan.asked.tolerance,
        "before_us": rounded(plan.before_us),
        "after_us": rounded(plan.after_us),
        "gain_us": rounded(plan.gain_us),
        "gain_error_us": rounded(plan.error_us),
        "helps": plan.helps,
        "certain": plan.certain,
        "paper_us": None if rival is None else rounded(rival),
        "parameters": None if plan.choice.parameters is None else list(plan.choice.parameters),
        "round_ups": [{"multiple": each.multiple, "time_us": rounded(each.time_us)} for each in plan.round_ups],
        "groups": [_group(move) for move in plan.groups],
        "layers": [_layer(*pair) for pair in zip(plan.layers, plan.stands, strict=True)],
        "notes": list(plan.choice.notes),
    }


def to_json(plan: Plan) -> str:
    """The text of a JSON file; the same plan gives the same bytes."""
    return json.dumps(to_dict(plan), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _group(move: GroupMove) -> dict[str, Any]:
    return {
        "name": clean(move.name),
        "before": move.before,
        "after": move.after,
        "candidates": list(move.candidates),
        "layers": [clean(layer) for layer in move.layers],
        "fixed": None if move.reason is None else clean(move.reason),
    }


def _layer(layer: LayerChange, stand: Stand | None) -> dict[str, Any]:
    sides = ("before", "after")
    return {
        "name": clean(layer.name),
        "follows": layer.timed.wide is None,
        **{side: _place(*each) for side, each in zip(sides, zip(layer.widths, layer.points, strict=True), strict=True)},
        "gain_us": rounded(layer.gain_us) or 0.0,
        "gain_error_us": rounded(layer.error_us) or 0.0,
        "stands": None if stand is None else {"before": _stand(stand.before), "after": _stand(stand.after)},
    }


def _place(widths: tuple[int, int], point: Point) -> dict[str, Any]:
    return {
        "in_width": widths[0],
        "out_width": widths[1],
        "time_us": rounded(point.latency_us),
        "error_pct": rounded(point.error_pct),
        "source": point.source.value,
    }


def _stand(side: Side) -> dict[str, Any]:
    return {"trend": str(side.interval.trend), "first": side.interval.first, "last": side.interval.last}
