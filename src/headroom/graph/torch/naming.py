"""Names for layers that a user recognises: the dotted path of the module they belong to."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer


def named(layers: Iterable[Layer], leaves: Collection[str]) -> tuple[Layer, ...]:
    """Give every layer its final name.

    ``leaves`` are the paths of modules without children. A leaf's own layer is called like the module
    (``layer1.0.conv1``), with ``@1``, ``@2`` when the module is called again. Everything else is the module
    path and the operator: ``layer1.0/add``, ``layer1.0/add_1``. Names depend on nothing outside the module,
    so they stay when another part of the model changes. Parts carry the name of their layer in front.
    """
    layers = list(layers)
    owned = _operators_of_leaves(layers, leaves)
    calls: Counter[str] = Counter()
    result = []
    for layer in layers:
        if owned.get(layer.module) == {layer.operator}:
            stem, join = layer.module, "@"
        else:
            stem, join = "/".join(part for part in (layer.module, _plain(layer.operator)) if part), "_"
        name = _numbered(stem, join, calls)
        result.append(replace(layer, name=name, parts=_parts(layer, name)))
    return tuple(result)


def _parts(layer: Layer, name: str) -> tuple[Layer, ...]:
    calls: Counter[str] = Counter()
    return tuple(
        replace(part, name=_numbered(f"{name}/{_plain(part.operator)}", "_", calls), module=part.module or layer.module)
        for part in layer.parts
    )


def _numbered(stem: str, join: str, calls: Counter[str]) -> str:
    count = calls[stem]
    calls[stem] += 1
    return f"{stem}{join}{count}" if count else stem


def _plain(operator: str) -> str:
    """``add`` for ``aten.add``, ``attention`` for a recognised ``Attention``."""
    return re.split(r"[.:]", operator)[-1].lower()


def _operators_of_leaves(layers: list[Layer], leaves: Collection[str]) -> dict[str, set[str]]:
    """Per leaf, the operators that do its work; copies, views and initial states beside them do not count."""
    found: dict[str, set[str]] = defaultdict(set)
    for layer in layers:
        if layer.module in leaves and layer.module and layer.kind not in (LayerKind.FREE, LayerKind.MOVEMENT):
            found[layer.module].add(layer.operator)
    return found
