"""A plan of packed layers as JSON. The keys and their meaning are published in ``schema/packing-1.json``."""

from __future__ import annotations

import json
from typing import Any

from headroom._version import __version__
from headroom.change.fission.plan import LayerPlan, PackPlan
from headroom.figures import rounded
from headroom.report.schemas import read_schema
from headroom.text import clean

#: Raised when a key changes its meaning or goes; a new key does not raise it.
SCHEMA_VERSION = 1


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``headroom pack --json`` writes."""
    return read_schema("packing", SCHEMA_VERSION)


def to_dict(plan: PackPlan) -> dict[str, Any]:
    """The whole plan, per the published schema."""
    before, after = plan.bytes
    return {
        "schema_version": SCHEMA_VERSION,
        "headroom_version": __version__,
        "model": clean(plan.model),
        "gpu": clean(plan.gpu),
        "dtype": plan.dtype,
        "batch": plan.batch,
        "l2": plan.l2,
        "goal": plan.goal.value,
        "calibration": clean(plan.calibration),
        "budget": plan.budget,
        "output_error": rounded(plan.output_error),
        "predicted_output_error": rounded(plan.predicted_error),
        "quality": None if plan.quality is None else {"before": plan.quality[0], "after": plan.quality[1]},
        "max_loss": plan.max_loss,
        "weight_bytes": {"before": before, "after": after},
        "total_us": rounded(plan.total_us),
        "saves_us": rounded(plan.saves_us),
        "error_pct": rounded(plan.error_pct),
        "source": "measured" if plan.measured else "predicted",
        "layers": [_layer(layer) for layer in plan.layers],
        "left_out": [{"module": clean(name), "reason": clean(reason)} for name, reason in plan.left_out.items()],
    }


def to_json(plan: PackPlan) -> str:
    """The text of a JSON file; the same plan gives the same bytes."""
    return json.dumps(to_dict(plan), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _layer(layer: LayerPlan) -> dict[str, Any]:
    return {
        "module": clean(layer.name),
        "kind": layer.kind,
        "weights": layer.weights,
        "dense_bytes": layer.dense_bytes,
        "held_bytes": layer.held_bytes,
        "time_us": None if layer.time_us is None else rounded(layer.time_us),
        "error_pct": None if layer.error_pct is None else rounded(layer.error_pct),
        "form": layer.chosen,
        "options": [
            {
                "form": option.form,
                "bytes": option.bytes,
                "output_error": rounded(option.output_error),
                "time_us": None if option.time_us is None else rounded(option.time_us),
            }
            for option in layer.options
        ],
    }
