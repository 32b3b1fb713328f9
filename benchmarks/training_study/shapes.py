"""The widths of a CIFAR VGG16 or ResNet56, and a network at other widths made of a trained one.

Both families are plain enough to say for each tensor which channels lie along it, so that a network of any widths is
made in milliseconds. Residual streams are joined by shortcuts that pad or crop channels at fixed places
(``cifar_networks.py``): which channel of a stage a shortcut adds to follows from both widths.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cifar_networks import Resnet, Vgg16
from headroom.change.widths.groups import Growth

#: Scores of the channels behind each normalisation, by its name; larger is more.
Scores = Mapping[str, np.ndarray]

#: For each channel of a new network the old one that it is; for none whether anything comes in through a shortcut.
_NEW, _STRANGE = -1, -2


@dataclass(frozen=True)
class Shape:
    """A VGG16 with 13 ``widths``, or a ResNet: ``streams`` of stem and stages, and the ``widths`` inside its blocks."""

    widths: tuple[int, ...]
    streams: tuple[int, ...] = ()

    def build(self) -> nn.Module:
        return Resnet(self.streams, self.widths) if self.streams else Vgg16(self.widths)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Shape:
        return cls(tuple(found["widths"]), tuple(found["streams"]))

    @classmethod
    def of(cls, module: nn.Module) -> Shape:
        """The shape of a module of these classes, as its tensors have it."""
        if isinstance(module, Vgg16):
            return cls(tuple(each.weight.shape[0] for each in module.features if isinstance(each, nn.Conv2d)))
        assert isinstance(module, Resnet)
        blocks: list[Any] = list(module.blocks)
        per_stage = len(blocks) // 3
        stages = (blocks[stage * per_stage].conv2.weight.shape[0] for stage in range(3))
        return cls(tuple(block.conv1.weight.shape[0] for block in blocks), (module.conv1.weight.shape[0], *stages))


def transferred(
    old: nn.Module, shape: Shape, scores: Scores, growth: Growth = Growth.FRESH, seed: int = 0
) -> nn.Module:
    """A network of ``shape`` with the weights of ``old``; where it is narrower, the channels of largest scores.

    New channels are random and read with weight zero (``FRESH``), or zero on both sides (``ZERO``). Where no layer gets
    narrower the function stays as it is, if shortcuts leave room: whether they do, :func:`apart` tells.
    """
    new = shape.build()
    before = Shape.of(old)
    orders = _resnet_orders(before, shape, scores) if shape.streams else _vgg_orders(before, shape, scores)
    random = torch.Generator().manual_seed(seed)
    found = dict(old.state_dict())
    with torch.no_grad():
        for name, value in new.state_dict().items():
            values = found[name].cpu()
            value.copy_(_placed(name, values, orders[name], growth, random) if name in orders else values)
    return new.train(old.training)


def apart(first: nn.Module, second: nn.Module, images: Tensor) -> float:
    """The largest difference of two networks' outputs in float64, over the largest output."""
    with torch.no_grad():
        before, after = (copy.deepcopy(each).cpu().double().eval()(images.double()) for each in (first, second))
    return float((before - after).abs().max() / before.abs().max())


Order = list[int]


def _placed(
    name: str, values: Tensor, orders: tuple[Order | None, Order | None], growth: Growth, random: torch.Generator
) -> Tensor:
    """Values by their order along outputs and inputs; ``None`` leaves an axis alone."""
    neutral = float(values.ndim == 1 and name.endswith(("weight", "running_var")))
    spread = float(values.std()) if values.ndim > 1 else 0.0
    for axis, order in enumerate(orders):
        if order is None or axis >= values.ndim:
            continue
        index = torch.tensor(order)
        values = values.index_select(axis, index.clamp(min=0))
        fresh = torch.nonzero(index < 0).flatten()
        if axis == 0 and values.ndim > 1 and growth is Growth.FRESH and len(fresh):
            drawn = torch.randn((len(fresh), *values.shape[1:]), generator=random) * spread
            values = values.index_copy(0, fresh, drawn.to(values))
        else:
            values = values.index_fill(axis, fresh, neutral)
    return values


def _best(count: int, among: Sequence[int], scores: np.ndarray | None) -> Order:
    """The ``count`` of largest scores, ascending; all and then new ones where there are not so many."""
    if count >= len(among):
        return [*among, *[_NEW] * (count - len(among))]
    ranked = among if scores is None else sorted(among, key=lambda each: -scores[each])
    return sorted(ranked[:count])


def _vgg_orders(before: Shape, after: Shape, scores: Scores) -> dict[str, tuple[Order | None, Order | None]]:
    plain: list[Any] = list(Vgg16(before.widths).features)
    places = [index for index, layer in enumerate(plain) if isinstance(layer, nn.Conv2d)]
    orders: dict[str, tuple[Order | None, Order | None]] = {}
    read: Order | None = None
    for place, width, wanted in zip(places, before.widths, after.widths, strict=True):
        kept = _best(wanted, range(width), scores.get(f"features.{place + 1}"))
        orders[f"features.{place}.weight"] = (kept, read)
        orders[f"features.{place}.bias"] = (kept, None)
        orders |= _normalised(f"features.{place + 1}", kept)
        read = kept
    return {**orders, "classifier.0.weight": (None, read)}


def _normalised(name: str, order: Order) -> Iterator[tuple[str, tuple[Order | None, Order | None]]]:
    return ((f"{name}.{part}", (order, None)) for part in ("weight", "bias", "running_mean", "running_var"))


def _resnet_orders(before: Shape, after: Shape, scores: Scores) -> dict[str, tuple[Order | None, Order | None]]:
    per_stage = len(before.widths) // 3
    streams = _stream_orders(before, after, scores)
    orders: dict[str, tuple[Order | None, Order | None]] = {"conv1.weight": (streams[0], None)}
    orders |= _normalised("bn1", streams[0])
    read = streams[0]
    for index, (width, wanted) in enumerate(zip(before.widths, after.widths, strict=True)):
        block, stream = f"blocks.{index}", streams[1 + index // per_stage]
        inner = _best(wanted, range(width), scores.get(f"{block}.bn1"))
        orders |= {f"{block}.conv1.weight": (inner, read), f"{block}.conv2.weight": (stream, inner)}
        orders |= _normalised(f"{block}.bn1", inner)
        orders |= _normalised(f"{block}.bn2", stream)
        read = stream
    return {**orders, "linear.weight": (None, read)}


def _stream_orders(before: Shape, after: Shape, scores: Scores) -> list[Order]:
    """The channels of stem and stages. What comes through a shortcut is what it was in the old network."""
    totals = [_stage_scores(before, stage, scores) for stage in range(4)]
    stem = _best(after.streams[0], range(before.streams[0]), totals[0])
    found = [_stem_order(stem, after.streams, before.streams, totals[1])]
    for stage, (width, wanted) in enumerate(pairwise(after.streams), 1):
        shift, old_shift = (wanted - width) // 2, (before.streams[stage] - before.streams[stage - 1]) // 2
        order = [_NEW] * wanted
        free = []
        for place in range(wanted):
            source = found[-1][place - shift] if 0 <= place - shift < width else _NEW
            through = source + old_shift
            if source == _NEW:
                free.append(place)
            elif source >= 0 and 0 <= through < before.streams[stage]:
                order[place] = through
            else:
                order[place] = _STRANGE
        left = [each for each in range(before.streams[stage]) if each not in order]
        for place, channel in zip(free, _best(len(free), left, totals[stage]), strict=True):
            order[place] = channel
        found.append(order)
    return found


def _stem_order(stem: Order, after: Sequence[int], before: Sequence[int], scores: np.ndarray | None) -> Order:
    """The stem's channels, those outside that a narrower first stage crops: what fed it before goes inside."""
    cropped, old_shift = after[0] - after[1], (before[1] - before[0]) // 2
    if cropped <= 0:
        return stem
    fed = [each for each in stem if each >= 0 and 0 <= each + old_shift < before[1]]
    if scores is not None:
        fed.sort(key=lambda each: -scores[each + old_shift])
    inside = sorted(fed[: after[1]])
    others = sorted((each for each in stem if each not in inside), key=lambda each: each == _NEW)
    outside, inside = others[:cropped], [*inside, *others[cropped:]]
    below = -((after[1] - after[0]) // 2)
    return [*outside[:below], *inside, *outside[below:]]


def _stage_scores(before: Shape, stage: int, scores: Scores) -> np.ndarray | None:
    """What the channels of a stage count together: the normalisations that add to its stream."""
    per_stage = len(before.widths) // 3
    blocks = range((stage - 1) * per_stage, stage * per_stage) if stage else ()
    names = [f"blocks.{index}.bn2" for index in blocks] or ["bn1"]
    known = [scores[name] for name in names if name in scores]
    return np.sum(known, axis=0) if known else None
