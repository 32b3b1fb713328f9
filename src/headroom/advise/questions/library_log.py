"""Question 4, from the libraries' own logs: the calls that the model asks for beside those that were executed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from headroom.advise.findings.common import counted
from headroom.advise.kernel_names import Library, library_of
from headroom.advise.library_calls import Dims, LoggedCalls, Sizes, sizes_of, without_ones
from headroom.advise.questions.answer import Cell, Table
from headroom.advise.recorded import Recorded
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Convolution

_PRODUCTS = frozenset({LayerKind.MATMUL, LayerKind.MATVEC})

_MOST_ROWS = 25

Row = tuple[Cell, ...]


@dataclass(frozen=True)
class LibraryLog:
    """What the logs tell: per library the calls that were expected, executed and deviating, and each deviation.

    ``handed`` is how many convolutions cuDNN had cuBLAS compute, as products.
    """

    totals: tuple[tuple[str, int, int, int], ...]
    deviations: tuple[Row, ...]
    handed: int = 0

    @classmethod
    def of(cls, run: Recorded) -> LibraryLog | None:
        """``None`` where nobody switched the logs on."""
        calls = run.execution.profile.library_calls
        if not calls:
            return None
        layers = run.case.timed.graph.layers
        asked = Counter(sizes_of(layer)[0] for layer in layers if layer.kind in _PRODUCTS)
        logged = LoggedCalls(calls, asked, sum(layer.kind is LayerKind.CONVOLUTION for layer in layers))
        handed = _handed(layers, logged)
        convolutions, products = tuple(_convolutions(run, logged)), tuple(_products(layers, logged, handed))
        order = (*_order_of_convolutions(layers, logged), *_order_of_products(layers, logged))
        deviating = len({name for name, *_ in convolutions})
        return cls(
            (
                ("cuDNN", logged.convolutions, round(logged.executed_by_cudnn), deviating),
                ("cuBLAS", asked.total(), round(sum(logged.products.values())) - handed.total(), len(products)),
            ),
            (*convolutions, *products, *order),
            handed.total(),
        )

    @property
    def sentence(self) -> str:
        """``By their own logs cuDNN executed 20 of 20 and cuBLAS executed 2 of 1 expected calls, with 1 deviation.``"""
        told = " and ".join(f"{library} executed {ran} of {asked}" for library, asked, ran, _ in self.totals)
        deviations = counted(len(self.deviations), "deviation") if self.deviations else "no deviation"
        beside = f" cuDNN had cuBLAS compute {counted(self.handed, 'convolution')} as products." if self.handed else ""
        return f"By their own logs {told} expected calls, with {deviations}.{beside}"

    @property
    def tables(self) -> Iterator[Table]:
        yield Table(
            "Calls of cuDNN and cuBLAS by their own logs",
            ("library", "expected calls", "executed calls", "deviating calls"),
            self.totals,
            note=(
                "Expected: a call for each convolution and product of the model. Executed: per inference of the run "
                "that was logged; what cuDNN executes besides (attention) counts as well. Convolutions that cuDNN had "
                "cuBLAS compute, as products, count as cuDNN's alone."
            ),
        )
        yield from _deviating(self.deviations)


def _deviating(rows: Sequence[Row]) -> Iterator[Table]:
    if rows:
        more = len(rows) - _MOST_ROWS
        yield Table(
            "Logged calls that differ from the model",
            ("layer", "library", "what differs", "expected", "executed"),
            tuple(rows[:_MOST_ROWS]),
            note="Sizes of 1 are left out." + (f" {more} more." if more > 0 else ""),
        )


def _convolutions(run: Recorded, logged: LoggedCalls) -> Iterator[Row]:
    """Convolutions whose tensors cuDNN never saw in the model's sizes, or that other code ran."""
    unasked = _unasked(run.case.timed.graph.layers, logged)
    for index, layer in enumerate(run.case.timed.graph.layers):
        if not isinstance(layer.work, Convolution):
            continue
        missing = {what: dims for what, dims in _tensors(layer.work).items() if without_ones(dims) not in logged.dims}
        if not missing:
            continue
        kernels = [run.step.launches[launch].name for launch in run.launches_of(index)]
        others = [name for name in kernels if library_of(name) is not Library.CUDNN]
        if kernels and len(others) == len(kernels):
            yield layer.name, "cuDNN", "not called", "a convolution", f"`{others[0][:80]}`"
            continue
        for what, dims in missing.items():
            nearest = _nearest(without_ones(dims), unasked)
            found = "no such tensor" if nearest is None else _text(nearest)
            yield layer.name, "cuDNN", what, _text(without_ones(dims)), found


def _tensors(work: Convolution) -> Mapping[str, Dims]:
    """The tensors of a convolution in cuDNN's order of dimensions."""
    return {
        "input": (work.batch, work.in_channels, *work.in_size),
        "filter": (work.out_channels, work.in_channels // work.groups, *work.kernel),
        "output": (work.batch, work.out_channels, *work.out_size),
    }


def _unasked(layers: Iterable[Layer], logged: LoggedCalls) -> frozenset[Dims]:
    """Tensors that cuDNN saw and no convolution of the model has."""
    works = (layer.work for layer in layers)
    asked = (dims for work in works if isinstance(work, Convolution) for dims in _tensors(work).values())
    return frozenset(logged.dims) - {without_ones(dims) for dims in asked}


def _nearest(dims: Dims, seen: Iterable[Dims]) -> Dims | None:
    """The tensor that differs in fewest sizes: what a padded or cropped one became."""
    alike = ((sum(a != b for a, b in zip(dims, each, strict=True)), each) for each in seen if len(each) == len(dims))
    return min((each for each in alike if each[0] < len(dims)), default=(0, None))[1]


def _handed(layers: Sequence[Layer], logged: LoggedCalls) -> Counter[Sizes]:
    """Products that no product of the model asks for, and that are its convolutions of one value per filter and input.

    cuDNN computes such a convolution as the product that it is, and may leave that to cuBLASLt.
    """
    asked = {sizes for layer in layers if layer.kind in _PRODUCTS for sizes in sizes_of(layer)}
    convolutions = [each for each in layers if isinstance(each.work, Convolution) and set(each.work.kernel) == {1}]
    pointwise = Counter(sizes_of(layer)[0] for layer in convolutions)
    executed = {sizes: round(often) for sizes, often in logged.products.items() if sizes not in asked}
    return Counter({sizes: min(pointwise[sizes], often) for sizes, often in executed.items() if pointwise[sizes]})


def _products(layers: Sequence[Layer], logged: LoggedCalls, handed: Counter[Sizes]) -> Iterator[Row]:
    """Products that were called less or more often than the model has them, and calls that no layer asks for."""
    asking: dict[Sizes, list[Layer]] = defaultdict(list)
    left = {sizes: often - handed[sizes] for sizes, often in logged.products.items() if round(often) > handed[sizes]}
    for layer in layers:
        if layer.kind in _PRODUCTS:
            found = next((sizes for sizes in sizes_of(layer) if sizes in left), sizes_of(layer)[0])
            asking[found].append(layer)
    for sizes, mine in asking.items():
        executed = round(left.pop(sizes, 0.0))
        for layer in mine[executed:]:
            yield layer.name, "cuBLAS", "not called", _product(sizes), None
        if executed > len(mine):
            yield mine[0].name, "cuBLAS", "called more often", len(mine), executed
    attention = [layer for layer in layers if layer.kind is LayerKind.ATTENTION]
    for sizes, often in left.items():
        composed = next((layer for layer in attention if sizes in sizes_of(layer)), None)
        what = "no layer asks for it" if composed is None else "a product of attention, which one kernel could do"
        yield None if composed is None else composed.name, "cuBLAS", what, None, f"{round(often)} x {_product(sizes)}"


def _order_of_convolutions(layers: Sequence[Layer], logged: LoggedCalls) -> Iterator[Row]:
    """Filters that cuDNN first saw before one that stands in front of them in the model."""
    first: dict[Dims, Layer] = {}
    for layer in layers:
        if isinstance(layer.work, Convolution):
            first.setdefault(without_ones(_tensors(layer.work)["filter"]), layer)
    seen = sorted((dims for dims in first if dims in logged.dims), key=logged.dims.__getitem__)
    places = {dims: place for place, dims in enumerate(first)}
    yield from _out_of_order("cuDNN", [(places[dims], first[dims].name) for dims in seen])


def _order_of_products(layers: Sequence[Layer], logged: LoggedCalls) -> Iterator[Row]:
    waiting: dict[Sizes, list[int]] = defaultdict(list)
    for place, layer in enumerate(layers):
        if layer.kind in _PRODUCTS:
            found = next((sizes for sizes in sizes_of(layer) if sizes in logged.products), None)
            if found is not None:
                waiting[found].append(place)
    ran = [waiting[sizes].pop(0) for sizes in logged.in_order() if waiting.get(sizes)]
    yield from _out_of_order("cuBLAS", [(place, layers[place].name) for place in ran])


def _out_of_order(library: str, called: Iterable[tuple[int, str]]) -> Iterator[Row]:
    """Layers, by their place in the model, that were called after one that stands behind them."""
    furthest, its_name = -1, ""
    for place, name in called:
        if place < furthest:
            yield name, library, "order", f"before {its_name}", f"after {its_name}"
        else:
            furthest, its_name = place, name


def _product(sizes: Sizes) -> str:
    *three, batch = sizes
    return "x".join(map(str, three)) + (f", {batch} of them" if batch > 1 else "")


def _text(dims: Dims) -> str:
    return "x".join(map(str, dims))
