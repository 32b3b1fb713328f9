"""Widths that keep a product off wide loads: which they are, the nearest that do not, and what those would gain.

Tensor cores are fed 16 bytes at a time: a row of 58 bf16 values is no multiple of that, and kernels for it load pairs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from headroom.advise.case import Case
from headroom.advise.kernel_names import Unit
from headroom.advise.products import Product, is_depthwise, products
from headroom.advise.timed import TimedGraph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Matmul, Work
from headroom.predict.model import predict_layers

#: Values that 16 bytes hold: what a width must be a multiple of.
ALIGNED: Mapping[DataType, int] = {DataType.TF32: 4, DataType.FP16: 8, DataType.BF16: 8, DataType.FP8: 16}

#: Fewest aligned layers whose times say how far the theory is off.
_FEWEST = 3

#: Share of layers that an error bar covers.
_COVERED = 0.8


@dataclass(frozen=True)
class Misaligned:
    """Products with the same odd widths. ``widths`` maps each to the multiples below and above it.

    ``gain_us`` is what all of them save at the widths above, ``None`` where nothing tells; the error bar is in percent
    of it. Negative where the wider layers take longer.
    """

    widths: Mapping[int, tuple[int, int]]
    products: tuple[Product, ...]
    gain_us: float | None
    error_pct: float

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(member for product in self.products for member in product.configuration.members)

    @property
    def total_us(self) -> float:
        return sum(product.total_us for product in self.products)


def misaligned(case: Case) -> tuple[Misaligned, ...]:
    """Products with a width that 16-byte loads do not divide, by those widths, the longest first."""
    multiple = ALIGNED.get(case.timed.dtype)
    if multiple is None:
        return ()
    alike: dict[tuple[LayerKind, tuple[int, ...]], list[Product]] = {}
    every = products(case)
    for product in every:
        if odd := tuple(width for width in _widths(product.layer) if width % multiple):
            alike.setdefault((product.layer.kind, odd), []).append(product)
    found = (
        _group(case.timed, odd, group, multiple, _aligned_ratios(case.timed, every, multiple, kind))
        for (kind, odd), group in alike.items()
    )
    return tuple(sorted(found, key=lambda group: -group.total_us))


def _group(
    timed: TimedGraph, odd: tuple[int, ...], group: list[Product], multiple: int, known: list[float]
) -> Misaligned:
    widths = {width: (width - width % multiple, width + multiple - width % multiple) for width in odd}
    measured = all(timed.timing(timed.configuration_of[p.configuration.members[0]]) is not None for p in group)
    if len(known) < _FEWEST or not measured or any(product.is_run for product in group):
        return Misaligned(widths, tuple(group), None, 0.0)
    ratio = statistics.median(known)
    spread = sorted(abs(each / ratio - 1) for each in known)[math.ceil(_COVERED * len(known)) - 1]
    wider = [widened(product.layer, multiple) for product in group]
    predicted = predict_layers(wider, timed.gpu, timed.dtype, l2_state=timed.l2_state)
    after_us = sum(
        (prediction.time_us or 0.0) * ratio * product.configuration.count
        for product, prediction in zip(group, predicted, strict=True)
    )
    gain_us = sum(product.total_us for product in group) - after_us
    bar_us = after_us * max(spread, 0.01 * timed.theory_error_pct([p.configuration.members[0] for p in group]))
    return Misaligned(widths, tuple(group), gain_us, 100 * bar_us / abs(gain_us) if gain_us else math.inf)


def _aligned_ratios(timed: TimedGraph, every: Iterable[Product], multiple: int, kind: LayerKind) -> list[float]:
    """Measured over predicted of products of one kind on tensor cores whose widths are all aligned."""
    return [
        timed.measured_over_predicted(product.configuration.members[0])
        for product in every
        if product.layer.kind is kind
        and product.unit is Unit.TENSOR_CORES
        and not product.is_run
        and not any(width % multiple for width in _widths(product.layer))
    ]


def _widths(layer: Layer) -> Iterator[int]:
    """The widths that kernels load along, each once: channels of a group, or the inner sizes of a product."""
    work: Work = layer.work
    if isinstance(work, Convolution) and not is_depthwise(layer):
        yield from dict.fromkeys((work.in_channels // work.groups, work.out_channels // work.groups))
    elif isinstance(work, Matmul) and layer.weights:
        yield from dict.fromkeys((work.k, work.n))


def widened(layer: Layer, multiple: int) -> Layer:
    """The layer with its widths rounded up to multiples of ``multiple``, its tensors with them."""
    work = layer.work
    if isinstance(work, Convolution):
        after = tuple(
            _up(width // work.groups, multiple) * work.groups for width in (work.in_channels, work.out_channels)
        )
        wider: Work = replace(work, in_channels=after[0], out_channels=after[1])
        axis = 1
    elif isinstance(work, Matmul):
        after = (_up(work.k, multiple), _up(work.n, multiple))
        wider, axis = replace(work, k=after[0], n=after[1]), -1
    else:
        return layer
    return replace(
        layer,
        work=wider,
        inputs=tuple(_as_wide(tensor, axis, after[0]) for tensor in layer.inputs),
        outputs=tuple(_as_wide(tensor, axis, after[1]) for tensor in layer.outputs),
    )


def _up(width: int, multiple: int) -> int:
    return multiple * math.ceil(width / multiple)


def _as_wide(tensor: TensorSpec, axis: int, width: int) -> TensorSpec:
    """The tensor with ``axis`` as wide as ``width``."""
    if len(tensor.shape) <= axis or not tensor.shape:
        return tensor
    shape = list(tensor.shape)
    shape[axis] = width
    return TensorSpec(tensor.name, tuple(shape), tensor.element)
