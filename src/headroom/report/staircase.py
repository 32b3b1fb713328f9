"""A study of staircases as JSON. The keys and their meaning are published in ``schema/staircase-1.json``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from headroom._version import __version__
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.layers import widths_of
from headroom.change.widths.staircase.reading import Reading
from headroom.change.widths.staircase.steps import Step
from headroom.change.widths.staircase.study import LayerReading, Study
from headroom.change.widths.staircase.wave_model import WaveModel
from headroom.figures import rounded
from headroom.report.schemas import read_schema
from headroom.text import clean

#: Raised when a key changes its meaning or goes; a new key does not raise it.
SCHEMA_VERSION = 1


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``headroom staircase --json`` writes."""
    return read_schema("staircase", SCHEMA_VERSION)


def to_dict(answer: Study) -> dict[str, Any]:
    """The whole answer, per the published schema."""
    return {
        "schema_version": SCHEMA_VERSION,
        "headroom_version": __version__,
        "model": clean(answer.model),
        "gpu": clean(answer.gpu.id),
        "gpu_name": clean(answer.gpu.name),
        "system": None if answer.system is None else clean(answer.system),
        "dtype": answer.dtype.value,
        "l2": answer.l2,
        "calibration": clean(answer.calibration),
        "notes": [clean(note) for note in answer.notes],
        "layers": [_layer(each) for each in answer.layers],
    }


def to_json(answer: Study) -> str:
    """The text of a JSON file; the same answer gives the same bytes."""
    return json.dumps(to_dict(answer), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _layer(each: LayerReading) -> dict[str, Any]:
    in_width, out_width = widths_of(each.layer)
    return {
        "name": clean(each.layer.name),
        "module": clean(each.layer.module),
        "kind": str(each.layer.kind),
        "count": each.subject.count,
        "in_width": in_width,
        "out_width": out_width,
        "staircases": [_staircase(reading) for reading in each.readings],
    }


def _staircase(reading: Reading) -> dict[str, Any]:
    curve = reading.staircase
    return {
        "in_width": curve.fixed or None,
        "points": [_point(point) for point in curve.points],
        "intervals": [
            {name: rounded(value) if isinstance(value, float) else value for name, value in asdict(interval).items()}
            for interval in reading.intervals
        ],
        "steps": [_step(step) for step in reading.steps],
        "wave_model": _model(reading.model),
        "wave_model_with_overhead": _model(reading.model_with_overhead),
        "candidates": [point.width for point in reading.candidates],
        "dominating": [point.width for point in reading.dominating],
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "width": point.width,
        "time_us": rounded(point.latency_us),
        "error_pct": rounded(point.error_pct),
        "source": point.source.value,
        "flops": point.flops,
        "tflops": rounded(point.tflops),
        "utilization": rounded(point.utilisation),
        "ctas": point.ctas,
        "waves": point.waves,
        "implementation": clean(point.implementation),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "last": step.last,
        "first": step.first,
        "before_us": rounded(step.before_us),
        "after_us": rounded(step.after_us),
        "rise_pct": rounded(step.rise_pct),
    }


def _model(model: WaveModel) -> dict[str, Any]:
    return {name: rounded(value) for name, value in asdict(model).items()}
