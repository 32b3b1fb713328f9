"""What people read of a plan for synapse vectors, in a terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.findings.common import counted
from headroom.change.synapses.planning.applied import Applied
from headroom.change.synapses.planning.study import LayerStudy, LossKind, Point, Study, Way
from headroom.text import view

#: Of a row per layer; ``loss`` and ``outputs off`` are those of the layer by itself.
HEADS = ("layer", "grain", "kept", "dense", "slim", "from", "loss", "outputs off", "alpha")

#: Of a row per point of the front.
FRONT_HEADS = ("speedup", "time", "loss", "layers changed")

#: Points of the front that a table shows.
MOST_POINTS = 12

_LOSSES = {
    LossKind.ACCURACY: "points of accuracy",
    LossKind.DECISIONS: "percent of decisions changed",
    LossKind.OUTPUTS: "percent of the outputs' size",
}


def rows(study: Study) -> list[tuple[str, ...]]:
    """A row per layer at the chosen point, under :data:`HEADS`."""
    chosen = study.chosen.ways if study.chosen else (0,) * len(study.layers)
    return [_row(layer, layer.ways[way]) for layer, way in zip(study.layers, chosen, strict=True)]


def _row(layer: LayerStudy, way: Way) -> tuple[str, ...]:
    dense = figures.time_with_error(layer.dense.time_us, layer.dense.error_pct)
    name = view(layer.name, 60)
    if way.grain is None:
        return (name, "dense", str(way.vectors), dense, "", layer.dense.source.value, "", "", "")
    with_gather = f", {figures.time(way.gather_us, way.error_pct)} of it to select" if way.gather_us else ""
    return (
        name,
        way.grain.value,
        f"{way.retained} of {way.vectors}",
        dense,
        f"{figures.time_with_error(way.time_us, way.error_pct)}{with_gather}",
        way.source.value,
        points(way.loss_points),
        figures.percent(way.output_error),
        figures.significant(way.alpha or 0.0, 2),
    )


def front_rows(study: Study) -> list[tuple[str, ...]]:
    """Some points of the front, the fastest first, under :data:`FRONT_HEADS`."""
    every = max(1, -(-len(study.front) // MOST_POINTS))
    shown = [*study.front[:-1:every], study.front[-1]]
    return [
        (
            figures.ratio(study.speedup(point)),
            figures.time_with_error(point.time_us, point.error_pct),
            points(point.loss_points),
            str(sum(bool(way) for way in point.ways)),
        )
        for point in shown
    ]


def points(loss: float) -> str:
    """A loss in points: ``0.4``; what is below a hundredth is none."""
    return f"{loss:.2f}".rstrip("0").rstrip(".") if abs(loss) >= 0.005 else "0"


def head(study: Study) -> str:
    """What was asked about."""
    where = f"{view(study.model, 80)} at batch {study.batch} on {view(study.gpu_name, 40)}"
    return f"{where}, {study.dtype}, L2 {study.l2}"


def verdict(study: Study) -> str:
    """The chosen point in a sentence."""
    point = study.chosen
    if point is None or not any(point.ways):
        fastest = study.front[0]
        if fastest == study.dense:
            return (
                f"No way to run a layer with fewer synapse vectors is faster on {view(study.gpu_name, 40)}: it stays."
            )
        return (
            f"Asked for {study.asked}: the network stays dense. The fastest combination is "
            f"{figures.ratio(study.speedup(fastest))} as fast and loses {_lost(study, fastest)}."
        )
    changed = sum(bool(way) for way in point.ways)
    time = figures.time_with_error(point.time_us, point.error_pct)
    dense = figures.time(study.dense.time_us, study.dense.error_pct)
    return (
        f"Asked for {study.asked}: {figures.ratio(study.speedup(point))} as fast ({dense} to {time}) with "
        f"{counted(changed, 'layer')} changed, losing {_lost(study, point)} if losses add up, before fine-tuning."
    )


def _lost(study: Study, point: Point) -> str:
    return f"{points(point.loss_points)} {_LOSSES[study.loss.kind]}"


def judged(study: Study) -> str:
    """What losses were counted on."""
    loss = study.loss
    kind = "random inputs, which say little about real ones" if loss.random else "held-out samples"
    one = "" if loss.kind is LossKind.OUTPUTS else f"; one of them is {points(100 / loss.samples)} points"
    accuracy = f"; the dense network meets {loss.dense_accuracy:.2f} %" if loss.dense_accuracy is not None else ""
    return f"Losses are {_LOSSES[loss.kind]} on {counted(loss.samples, 'sample')} ({kind}{one}{accuracy})."


def sentences(study: Study) -> Iterator[str]:
    """What else has to be said."""
    for layer, way in study.removed():
        if layer.producers and way.grain is not None and way.grain.is_whole:
            makers = ", ".join(view(name, 40) for name in layer.producers)
            yield f"{view(layer.name, 60)}: nobody else reads its inputs, so filters of {makers} go with them."
    alike: dict[str, list[str]] = {}
    for layer in study.layers:
        for note in layer.notes:
            alike.setdefault(view(note, 300), []).append(view(layer.name, 40))
    for name, reason in study.stays:
        alike.setdefault(f"it stays dense: {view(reason, 200)}", []).append(view(name, 40))
    for note, names in alike.items():
        yield f"{_some(names)}: {note}."
    yield from (view(note, 400) for note in study.notes)


def _some(names: list[str]) -> str:
    """The first few, and how many more."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def done(study: Study, applied: Applied) -> Iterator[str]:
    """What became of the plan."""
    kind = _LOSSES[study.loss.kind]
    yield (
        "Made: it equals the dense network with zeros for what went (they differ by "
        f"{applied.difference:.1g} in float64), and its outputs are {figures.percent(applied.output_difference)} off "
        "the dense network's."
    )
    tuned = "" if applied.tuned_loss_points is None else f", {points(applied.tuned_loss_points)} after fine-tuning"
    yield f"All layers at once it loses {points(applied.loss_points)} {kind}{tuned}."
    if applied.measured is not None:
        told = applied.measured
        dense, slim = (figures.time_with_error(each, told.noise_pct) for each in (told.dense_us, told.slim_us))
        yield f"Measured in turn on {view(told.device, 60)}: {dense} dense, {slim} slim, {figures.ratio(told.speedup)}."
    else:
        yield "Its time is not measured: --measure times both networks in turn on this machine's GPU."
    yield from (view(note, 400) for note in applied.notes)
    yield f"Written: {', '.join(view(path, 120) for path in applied.files)}."
