"""A study of synapse vectors as JSON, and back. The keys and their meaning are published in ``schema/slim-1.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headroom._version import __version__
from headroom.change.synapses.planning.applied import Applied
from headroom.change.synapses.planning.study import LayerStudy, Loss, LossKind, Point, Study, Way
from headroom.change.synapses.vectors import Grain
from headroom.errors import ModelError
from headroom.figures import rounded
from headroom.predict.prediction import Source
from headroom.report.schemas import read_schema
from headroom.text import clean, clean_all

#: Raised when a key changes its meaning or goes; a new key does not raise it.
SCHEMA_VERSION = 1


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``headroom slim --json`` and ``--frontier`` write."""
    return read_schema("slim", SCHEMA_VERSION)


def to_dict(study: Study, applied: Applied | None = None) -> dict[str, Any]:
    """The whole answer, per the published schema."""
    return {
        "schema_version": SCHEMA_VERSION,
        "headroom_version": __version__,
        "model": clean(study.model),
        "gpu": clean(study.gpu),
        "gpu_name": clean(study.gpu_name),
        "system": None if study.system is None else clean(study.system),
        "dtype": study.dtype,
        "batch": study.batch,
        "l2": study.l2,
        "loss": {
            "kind": study.loss.kind.value,
            "samples": study.loss.samples,
            "random": study.loss.random,
            "dense_accuracy": rounded(study.loss.dense_accuracy),
        },
        "layers": [_layer(layer) for layer in study.layers],
        "stays": [{"name": clean(name), "reason": clean(reason)} for name, reason in study.stays],
        "rest_us": rounded(study.rest_us),
        "front": [_point(study, point) for point in study.front],
        "chosen": None if study.chosen is None else _point(study, study.chosen),
        "asked": study.asked,
        "applied": None if applied is None else _applied(applied),
        "notes": clean_all(study.notes),
    }


def to_json(study: Study, applied: Applied | None = None) -> str:
    """The text of a JSON file; the same answer gives the same bytes."""
    return json.dumps(to_dict(study, applied), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_dict(held: Any, where: str) -> Study:
    """The study that :func:`to_dict` gave.

    Raises:
        ModelError: it is no such thing; the sentence says what is wrong.
    """
    import jsonschema

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(held))
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path) or "the file"
        reason = clean(error.message)[:120]
        raise ModelError(f"{where} is no frontier of headroom slim ({place}: {reason}); make it again with --frontier")
    layers = tuple(_read_layer(layer) for layer in held["layers"])
    front = tuple(_read_point(point) for point in held["front"])
    sizes = [len(layer.ways) for layer in layers]
    fits = all(
        len(point.ways) == len(sizes) and all(way < size for way, size in zip(point.ways, sizes, strict=True))
        for point in front
    )
    if not fits or not any(not any(point.ways) for point in front):
        raise ModelError(f"the front in {where} does not fit its layers; make it again with --frontier")
    loss = held["loss"]
    return Study(
        **{key: held[key] for key in ("model", "gpu", "gpu_name", "dtype", "batch", "l2", "system", "rest_us")},
        layers=layers,
        loss=Loss(LossKind(loss["kind"]), loss["samples"], loss["random"], loss["dense_accuracy"]),
        front=front,
        stays=tuple((each["name"], each["reason"]) for each in held["stays"]),
        notes=tuple(held["notes"]),
    )


def _layer(layer: LayerStudy) -> dict[str, Any]:
    return {
        "name": clean(layer.name),
        "kind": layer.kind,
        "producers": clean_all(layer.producers),
        "correlated": layer.correlated,
        "transform": layer.transform,
        "notes": clean_all(layer.notes),
        "ways": [_way(way) for way in layer.ways],
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        "grain": None if way.grain is None else way.grain.value,
        "vectors": way.vectors,
        "retained": way.retained,
        "alpha": rounded(way.alpha),
        "time_us": rounded(way.time_us),
        "error_pct": rounded(way.error_pct),
        "source": way.source.value,
        "loss_points": rounded(way.loss_points),
        "output_error": rounded(way.output_error),
        "gather_us": rounded(way.gather_us),
        "tuned": way.tuned,
    }


def _point(study: Study, point: Point) -> dict[str, Any]:
    return {
        "ways": list(point.ways),
        "time_us": rounded(point.time_us),
        "error_pct": rounded(point.error_pct),
        "loss_points": rounded(point.loss_points),
        "speedup": rounded(study.speedup(point)),
    }


def _applied(applied: Applied) -> dict[str, Any]:
    measured = applied.measured
    return {
        "difference": rounded(applied.difference),
        "output_difference": rounded(applied.output_difference),
        "loss_points": rounded(applied.loss_points),
        "tuned_loss_points": rounded(applied.tuned_loss_points),
        "smaller": clean_all(applied.smaller),
        "measured": None
        if measured is None
        else {
            "device": clean(measured.device),
            "dense_us": rounded(measured.dense_us),
            "slim_us": rounded(measured.slim_us),
            "noise_pct": rounded(measured.noise_pct),
            "speedup": rounded(measured.speedup),
        },
        "files": [clean(path) for path in applied.files],
        "notes": clean_all(applied.notes),
    }


def _read_layer(held: Mapping[str, Any]) -> LayerStudy:
    return LayerStudy(
        name=held["name"],
        kind=held["kind"],
        ways=tuple(_read_way(way) for way in held["ways"]),
        producers=tuple(held["producers"]),
        correlated=held["correlated"],
        transform=held["transform"],
        notes=tuple(held["notes"]),
    )


def _read_way(held: Mapping[str, Any]) -> Way:
    grain = None if held["grain"] is None else Grain(held["grain"])
    return Way(**{**held, "grain": grain, "source": Source(held["source"])})


def _read_point(held: Mapping[str, Any]) -> Point:
    return Point(tuple(held["ways"]), held["time_us"], held["error_pct"], held["loss_points"])
