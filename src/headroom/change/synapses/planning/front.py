"""Compositions of layers' ways that no other one beats in both time and loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headroom.change.synapses.frontier import Front, LayerOptions, Option
from headroom.change.synapses.planning.study import LayerStudy, Point

#: Points that a front keeps: more than anyone looks at, few enough for a file.
MOST_POINTS = 256

#: What a composition takes altogether, and its error bar: ways by their indices in, microseconds and percent out.
Together = Callable[[tuple[int, ...]], tuple[float, float]]


def front_of(layers: Sequence[LayerStudy], together: Together, most_points: float = float("inf")) -> tuple[Point, ...]:
    """The front over ``layers``, by ascending time.

    Losses are added up, to ``most_points`` at most, which is an assumption: whoever takes a point measures its loss.
    Times are those of ``together``, which may be shorter than the sum: where channels go, their producers become
    smaller as well.
    """
    options = [
        LayerOptions(
            layer.name, tuple(Option(way.alpha, way.retained, way.time_us, way.loss_points) for way in layer.ways)
        )
        for layer in layers
    ]
    front = Front(options, points=MOST_POINTS)
    compositions = {(0,) * len(layers): 0.0}
    for index in range(len(front)):
        found = front.at(index)
        ways = tuple(
            next(place for place, option in enumerate(each.options) if option is chosen)
            for each, (_, chosen) in zip(options, found.choices, strict=True)
        )
        compositions[ways] = min(found.loss_points, most_points)
    return undominated([Point(ways, *together(ways), loss) for ways, loss in compositions.items()])


def undominated(points: Sequence[Point]) -> tuple[Point, ...]:
    """Those that no other one beats, by ascending time, and the dense network, whatever beats it."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.time_us, point.loss_points)):
        if not kept or point.loss_points < kept[-1].loss_points:
            kept.append(point)
    dense = next(point for point in points if not any(point.ways))
    # Removal that happens to raise accuracy and speed beats it; a reader still has to see where it stands.
    kept = [point for point in kept if point.time_us <= dense.time_us and point is not dense]
    return (*kept, dense)
