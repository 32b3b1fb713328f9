"""Engines that no heuristic named, each with its default and a few settings of its tile.

A layer has 60 to 80 engines, most of which decline at once (0.2 ms each). Of those that accept, the tile decides
most, so only it is varied. They fill a graph's list up to :data:`LISTED` plans and are at least :data:`AT_LEAST`: where
heuristics propose many (tensor cores) they add little time, where they propose few (strict fp32) they make up for it.
A layer's one to four graphs then take about a second.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from headroom.measure.backends.cudnn.library import frontend

#: Values of the tile knob tried per engine, evenly spread over its range.
TILES_PER_ENGINE = 6

#: Plans of one graph that are aimed at, those of the heuristics included.
LISTED = 40

#: Plans proposed here whatever the heuristics found, as long as there are engines.
AT_LEAST = 8


def settings(graph: Any, named: Collection[str], listed: int) -> Iterator[tuple[int, dict[Any, int]]]:
    """(engine, knobs) of engines outside ``named``, each one's default first; ``listed`` plans are there already."""
    left = max(AT_LEAST, LISTED - listed)
    for engine in range(graph.get_engine_count()):
        if f"eng{engine}" in named:
            continue
        try:
            knobs = graph.get_knobs_for_engine(engine)
        except (RuntimeError, frontend().cudnnGraphNotSupportedError):
            continue  # The engine does not run this graph on this GPU.
        for setting in ({}, *_tiles(knobs)):
            if left == 0:
                return
            left -= 1
            yield engine, setting


def _tiles(knobs: list[Any]) -> Iterator[dict[Any, int]]:
    tile = next((knob for knob in knobs if knob.type == frontend().knob_type.TILE_SIZE), None)
    if tile is None:
        return
    values = range(tile.min_value, tile.max_value + 1, max(tile.stride, 1))
    for value in values[:: max(1, -(-len(values) // TILES_PER_ENGINE))]:
        yield {tile.type: value}


#: The library's own numbers of the knobs (cudnn_graph.h), by which plans are named, where the frontend knows them.
_NUMBERS = {2: "TILE_SIZE"}


def replayed(name: str) -> tuple[int, dict[Any, int]] | None:
    """Engine and knobs of a plan's name as far as this module makes such plans, else ``None``."""
    match = re.fullmatch(r"eng(\d+)((?:_k\d+=-?\d+)*)", name)
    if match is None:
        return None
    knobs = {int(number): int(value) for number, value in re.findall(r"k(\d+)=(-?\d+)", match[2])}
    if set(knobs) - set(_NUMBERS):
        return None
    types = frontend().knob_type
    return int(match[1]), {getattr(types, _NUMBERS[number]): value for number, value in knobs.items()}
