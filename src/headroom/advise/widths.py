"""Widths that keep a product off wide loads: which they are, the nearest that do not, and what those would gain.

Tensor cores are fed 16 bytes at a time: a row of 58 bf16 values is no multiple of that, and kernels for it load pairs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """Products of one kind with the same odd widths. ``widths`` maps each to the multiples below and above it.

    ``padded_us`` and ``narrowed_us`` are what all of them would take at the widths above and below; ``None`` where
    nothing tells, or nothing is below. ``error_us`` is the half-width of their error bar.
    """

    widths: Mapping[int, tuple[int, int]]
    products: tuple[Product, ...]
    padded_us: float | None = None
    narrowed_us: float | None = None
    error_us: float = 0.0

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(member for product in self.products for member in product.configuration.members)

    @property
    def total_us(self) -> float:
        return sum(product.total_us for product in self.products)

    @property
    def gain_us(self) -> float | None:
        """What padding saves; negative where the wider layers take longer."""
        return None if self.padded_us is None else self.total_us - self.padded_us

    @property
    def error_pct(self) -> float:
        """Error bar of ``gain_us``, in percent of it."""
        return 100 * self.error_us / abs(self.gain_us) if self.gain_us else math.inf


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
    if len(known) < _FEWEST or any(product.unit is None for product in group):
        return Misaligned(widths, tuple(group))
    ratio = statistics.median(known)
    spread = sorted(abs(each / ratio - 1) for each in known)[math.ceil(_COVERED * len(known)) - 1]
    theory_pct = timed.theory_error_pct([product.configuration.members[0] for product in group])
    padded_us = ratio * _predicted_us(timed, group, multiple, up=True)
    return Misaligned(
        widths=widths,
        products=tuple(group),
        padded_us=padded_us,
        narrowed_us=ratio * _predicted_us(timed, group, multiple, up=False) if min(odd) > multiple else None,
        error_us=padded_us * max(spread, 0.01 * theory_pct),
    )


def _predicted_us(timed: TimedGraph, group: Sequence[Product], multiple: int, *, up: bool) -> float:
    """What theory says of all layers of ``group`` at the widths above or below."""
    layers = [rounded(product.layer, multiple, up=up) for product in group]
    predicted = predict_layers(layers, timed.gpu, timed.dtype, l2_state=timed.l2_state)
    counts = (product.configuration.count for product in group)
    return sum((each.time_us or 0.0) * count for each, count in zip(predicted, counts, strict=True))


def _aligned_ratios(timed: TimedGraph, every: Iterable[Product], multiple: int, kind: LayerKind) -> list[float]:
    """Time over theory of products of one kind on tensor cores whose widths are all aligned."""
    theory = timed.theory or timed.predictions
    found = []
    for product in every:
        odd = any(width % multiple for width in _widths(product.layer))
        if product.layer.kind is kind and product.unit is Unit.TENSOR_CORES and not odd:
            theory_us = theory[timed.configuration_of[product.configuration.members[0]]].time_us
            if theory_us:
                found.append(product.time_us / theory_us)
    return found


def _widths(layer: Layer) -> Iterator[int]:
    """The widths that kernels load along, each once: channels of a group, or the inner sizes of a product."""
    work: Work = layer.work
    if isinstance(work, Convolution) and not is_depthwise(layer):
        yield from dict.fromkeys((work.in_channels // work.groups, work.out_channels // work.groups))
    elif isinstance(work, Matmul) and layer.weights:
        yield from dict.fromkeys((work.k, work.n))


def rounded(layer: Layer, multiple: int, *, up: bool = True, inputs: bool = True, outputs: bool = True) -> Layer:
    """The layer with its widths rounded up or down to multiples of ``multiple``, its tensors with them.

    Args:
        inputs, outputs: whether that end is rounded at all.
    """

    def even(width: int, rounds: bool) -> int:
        return multiple * (math.ceil(width / multiple) if up else width // multiple) if rounds else width

    work = layer.work
    if isinstance(work, Convolution):
        ends = ((work.in_channels, inputs), (work.out_channels, outputs))
        after = tuple(even(width // work.groups, rounds) * work.groups for width, rounds in ends)
        other: Work = replace(work, in_channels=after[0], out_channels=after[1])
        axis = 1
    elif isinstance(work, Matmul):
        after = (even(work.k, inputs), even(work.n, outputs))
        other, axis = replace(work, k=after[0], n=after[1]), -1
    else:
        return layer
    if other == work:
        return layer
    return replace(
        layer,
        work=other,
        inputs=tuple(_as_wide(tensor, axis, after[0]) for tensor in layer.inputs),
        outputs=tuple(_as_wide(tensor, axis, after[1]) for tensor in layer.outputs),
    )


def _as_wide(tensor: TensorSpec, axis: int, width: int) -> TensorSpec:
    """The tensor with ``axis`` as wide as ``width``."""
    if len(tensor.shape) <= axis or not tensor.shape:
        return tensor
    shape = list(tensor.shape)
    shape[axis] = width
    return TensorSpec(tensor.name, tuple(shape), tensor.element)
