"""Predictions for the rows of a table, all rows of one sort at once.

The same constants, tiles and formulas as for a model's layers; each row's answer depends on that row alone, to
the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import unit_of
from headroom.predict.cta_costs import torn_share
from headroom.predict.delta import ConvBatch
from headroom.predict.error_groups import product_bars
from headroom.predict.gemm_time import Estimate, Floats, Problems, Tiles, estimate
from headroom.predict.im2col_traffic import with_cache_bytes
from headroom.predict.kernel_sorts import (
    CONVOLUTION_SORTS,
    LEAST_TRANSFORMED,
    STRIDED_GRADIENT,
    convolution_sorts,
    direct_bar_kind,
    direction_of,
    fills_no_load,
)
from headroom.predict.kernel_time import Channels
from headroom.predict.kinds.gemm import DIRECT_GROUP_CHANNELS
from headroom.predict.library import Choice, Tiled, fastest, with_whole_channels
from headroom.predict.memory_bound import Streams, estimate_streams, transposition_us
from headroom.predict.prediction import Bottleneck
from headroom.predict.roofline import floors_of
from headroom.predict.sheet_doubt import widened_rows
from headroom.predict.table_input import DIRECTIONS, LayerRows
from headroom.predict.tile_fit import fits, misfit
from headroom.predict.tiles import given_depth, main_loop_depth

Rows = NDArray[np.intp]

#: Bottlenecks in the order in which both models list their terms.
GEMM_LIMITS = (Bottleneck.COMPUTE, Bottleneck.L2, Bottleneck.DRAM, Bottleneck.LATENCY, Bottleneck.LAUNCH)
STREAM_LIMITS = (Bottleneck.LAUNCH, Bottleneck.LATENCY, Bottleneck.L2, Bottleneck.DRAM, Bottleneck.COMPUTE)


@dataclass
class Answers:
    """One entry per row of the table; bad rows hold zeros and an empty bottleneck."""

    time_us: Floats
    error_pct: Floats
    l1_bytes: Floats
    l2_bytes: Floats
    dram_bytes: Floats
    ctas: Floats
    waves: Floats
    tail_utilization: Floats
    tile_m: Floats
    tile_n: Floats
    tile_k: Floats
    bottleneck: NDArray[np.str_]

    @classmethod
    def empty(cls, rows: int) -> Answers:
        numbers = {field.name: np.zeros(rows) for field in fields(cls) if field.name != "bottleneck"}
        return cls(**numbers, bottleneck=np.zeros(rows, dtype="<U20"))

    def rows(self, part: slice) -> Answers:
        """Some of the rows."""
        return Answers(**{field.name: getattr(self, field.name)[part] for field in fields(self)})

    def put(self, index: Rows, **columns: Floats | NDArray[np.str_]) -> None:
        for name, values in columns.items():
            getattr(self, name)[index] = values


@dataclass(frozen=True)
class Question:
    """Rows of one sort: which they are, and what is the same for all of them."""

    index: Rows
    sort: str
    dtype: DataType


def answer_rows(rows: LayerRows, gpu: GpuSpec, l2_state: str, calibration: Calibration) -> Answers:
    """Predict every good row."""
    answers = Answers.empty(len(rows))
    for question in _questions(rows, gpu, calibration):
        solve: Callable[[LayerRows, Question, GpuSpec, str, Calibration, Answers], None]
        solve = _answer_streams if question.sort.startswith(("depthwise", "matvec")) else _answer_gemms
        solve(rows, question, gpu, l2_state, calibration, answers)
    return answers


def _questions(rows: LayerRows, gpu: GpuSpec, calibration: Calibration) -> Iterator[Question]:
    """The good rows, sorted by what kernel runs them and by data type.

    A data type that the GPU does not multiply makes its rows bad.
    """
    size, words = rows.sizes, rows.words
    good = np.array([not error for error in rows.errors], dtype=bool)
    for dtype in DataType:
        typed = good & (words["dtype"] == str(dtype))
        if not typed.any():
            continue
        if not gpu.supports(dtype):
            for i in np.flatnonzero(typed):
                rows.errors[i] = f"dtype is '{dtype}', which {gpu.name} does not multiply: give another"
            continue
        for sort, mask in _sorts(size, words).items():
            index = np.flatnonzero(typed & mask)
            for name, part in _by_kernel(rows, index, sort, gpu, dtype, calibration):
                yield Question(part, name, dtype)


def _by_kernel(
    rows: LayerRows, index: Rows, sort: str, gpu: GpuSpec, dtype: DataType, calibration: Calibration
) -> Iterator[tuple[str, Rows]]:
    """Convolutions divided by the sorts of kernels that have constants of their own."""
    if sort == "dgrad" and calibration.has_own(gpu, dtype, STRIDED_GRADIENT):
        step = np.maximum(rows.sizes["stride_h"][index], rows.sizes["stride_w"][index])
        names = np.where(step > 1, STRIDED_GRADIENT, sort)
    elif sort != "forward":
        names = np.full(len(index), sort)
    else:
        names = _forward_sorts(rows, index, dtype, unit_of(gpu, dtype))
        own = [name for name in CONVOLUTION_SORTS if calibration.has_own(gpu, dtype, name)]
        names = np.where(np.isin(names, own), names, sort)
    for name in np.unique(names):
        yield str(name), index[names == name]


def _forward_sorts(rows: LayerRows, index: Rows, dtype: DataType, unit: str) -> NDArray[np.str_]:
    """A table's convolutions have no bias."""
    size = {name: values[index] for name, values in rows.sizes.items()}
    shape = {
        "in_channels": size["c"], "out_channels": size["k"], "groups": size["groups"], "taps": size["r"] * size["s"],
        "step": np.maximum(size["stride_h"], size["stride_w"]), "positions": size["n"] * size["p"] * size["q"],
    }  # fmt: skip
    return convolution_sorts(shape, np.zeros(len(index), dtype=bool), dtype, unit)


def _sorts(size: dict[str, Floats], words: dict[str, NDArray[np.str_]]) -> dict[str, NDArray[np.bool_]]:
    convolution = words["op"] == "conv2d"
    per_group = np.maximum(size["c"], size["k"]) / np.maximum(size["groups"], 1)
    direct = convolution & (size["groups"] > 1) & (per_group <= DIRECT_GROUP_CHANNELS)
    thin = ~convolution & (np.minimum(size["m"], size["n"]) == 1) & (size["tile_m"] == 0)
    sorts = {"matvec": thin, "matmul": ~convolution & ~thin}
    for direction in DIRECTIONS:
        runs = convolution & (words["direction"] == direction)
        sorts |= {direction: runs & ~direct, f"depthwise {direction}": runs & direct}
    return sorts


def _answer_gemms(
    rows: LayerRows, question: Question, gpu: GpuSpec, l2_state: str, calibration: Calibration, answers: Answers
) -> None:
    """Tiles as given, or as a tuned library would choose them."""
    dtype, sort = question.dtype, question.sort
    has_tile = rows.sizes["tile_m"][question.index] > 0
    given, free = (replace(question, index=question.index[mask]) for mask in (has_tile, ~has_tile))
    given = replace(given, index=_with_possible_tiles(rows, given, gpu))
    if len(given.index):
        tiled = _tiled_of(rows, given.index, sort, dtype)
        choice = _with_given_tiles(rows, given, tiled, gpu, l2_state, calibration)
        _put_gemms(rows, given, tiled, choice, gpu, l2_state, calibration, answers)
    if len(free.index):
        tiled = _tiled_of(rows, free.index, sort, dtype)
        choice = fastest(tiled, gpu, dtype, calibration, l2_state)
        _put_gemms(rows, free, tiled, choice, gpu, l2_state, calibration, answers)


def _with_possible_tiles(rows: LayerRows, question: Question, gpu: GpuSpec) -> Rows:
    """The rows whose given tile fits an SM; the others are bad."""
    m, n, k = (rows.sizes[name][question.index] for name in ("tile_m", "tile_n", "tile_k"))
    k = np.where(k > 0, k, main_loop_depth(gpu, question.dtype, unit_of(gpu, question.dtype)))
    held = fits(m, n, k, gpu, question.dtype)
    for at in np.flatnonzero(~held):
        rows.errors[question.index[at]] = misfit(m[at], n[at], k[at], gpu, question.dtype)
    return question.index[held]


def _with_given_tiles(
    rows: LayerRows, question: Question, tiled: Tiled, gpu: GpuSpec, l2_state: str, calibration: Calibration
) -> Choice:
    dtype, sort = question.dtype, question.sort
    constants = calibration.gemm(gpu, dtype, sort)
    tiles = _given_tiles(rows, question.index, tiled.problems, gpu, dtype, sort)
    whole = with_whole_channels(tiled.problems, tiled.taps, constants.channel_bytes / dtype.bytes)
    found = estimate(whole, tiles, gpu, dtype, unit_of(gpu, dtype), constants, l2_state)
    return Choice(found, tiles, np.zeros(len(question.index), dtype="<U1"))


def _put_gemms(
    rows: LayerRows, question: Question, tiled: Tiled, choice: Choice, gpu: GpuSpec, l2_state: str,
    calibration: Calibration, answers: Answers,
) -> None:  # fmt: skip
    """What the chosen kernels cost, with what runs around them."""
    index, dtype, sort = question.index, question.dtype, question.sort
    unit, problems, is_direct = unit_of(gpu, dtype), tiled.problems, choice.transformed == ""
    best = choice.estimate
    if unit == "plain" and tiled.convs is not None and direction_of(sort) != "dgrad":
        best = with_cache_bytes(best, tiled.convs, choice.tiles, problems.c_bytes, gpu, dtype, where=is_direct)
    if unit == "tensor" and sort != "matmul":
        extra = transposition_us(problems.a_bytes, problems.c_bytes, gpu, calibration.streams(gpu), l2_state)
        nchw = rows.words["layout"][index] == "nchw"
        best = replace(best, time_us=best.time_us + np.where(nchw, extra, 0.0))
    flops = 2.0 * problems.batch * problems.m * problems.n * problems.k
    if direction_of(sort) == "dgrad":
        flops = 2.0 * _forward_macs(rows, index)
    moved = problems.a_bytes + problems.b_bytes + problems.c_bytes
    floor = floors_of(flops, moved, gpu.peak_tflops(dtype), gpu, l2_state)
    terms = np.stack([best.compute_us, best.l2_us, best.dram_us, best.latency_us, best.launch_us])
    bars = product_bars(problems, best, choice.transformed, sort, gpu, dtype, l2_state, calibration)
    answers.put(
        index,
        # The floor is that of the direct arithmetic, which a transformed kernel undercuts.
        time_us=np.where(is_direct, np.maximum(best.time_us, floor), best.time_us),
        error_pct=widened_rows(bars, np.argmax(terms, axis=0), GEMM_LIMITS, gpu),
        bottleneck=_limits(terms, GEMM_LIMITS),
        tile_m=choice.tiles.m,
        tile_n=choice.tiles.n,
        tile_k=choice.tiles.k,
        **_grid(best),
    )


def _grid(best: Estimate) -> dict[str, Floats]:
    names = ("l1_bytes", "l2_bytes", "dram_bytes", "ctas", "waves", "tail_utilization")
    return {name: getattr(best, name) for name in names}


def _answer_streams(
    rows: LayerRows, question: Question, gpu: GpuSpec, l2_state: str, calibration: Calibration, answers: Answers
) -> None:
    """Depthwise convolutions and matrix-vector products: no multiplier tiles."""
    index, dtype = question.index, question.dtype
    kind, _, direction = question.sort.partition(" ")
    problems = problems_of(rows, index, direction or "matmul", float(dtype.bytes))
    width = float(dtype.bytes)
    flops = 2.0 * (_forward_macs(rows, index) if direction else problems.batch * problems.m * problems.n * problems.k)
    moved = problems.a_bytes + problems.b_bytes + problems.c_bytes
    ones = np.ones(len(index))
    constants = calibration.streams(gpu)
    # A weight gradient has few results: its threads run over the other gradient, and their sums are added up then.
    values = (problems.a_bytes if direction == "wgrad" else problems.c_bytes) / width
    taps = np.ceil(flops / 2.0 / values)
    passes = ones + (direction == "wgrad")
    streams = Streams(moved, ones, passes, values, flops, 0.0 * ones, taps)
    rate = gpu.peak_tflops(dtype, tensor=False)
    found = estimate_streams(streams, [kind] * len(index), gpu, rate, constants, l2_state)
    floor = floors_of(flops, moved, gpu.peak_tflops(dtype), gpu, l2_state)
    terms = np.stack([found.launch_us, found.ramp_us, found.l2_us, found.dram_us, found.compute_us])
    bars = _bars(direct_bar_kind(kind, direction), gpu, calibration, found.is_short, dtype, l2_state)
    answers.put(
        index,
        time_us=np.maximum(found.time_us, floor),
        error_pct=widened_rows(bars, np.argmax(terms, axis=0), STREAM_LIMITS, gpu),
        bottleneck=_limits(terms, STREAM_LIMITS),
        l1_bytes=found.l2_bytes,
        l2_bytes=found.l2_bytes,
        dram_bytes=found.dram_bytes,
        ctas=found.ctas,
        waves=found.ctas / gpu.sms,
        tail_utilization=found.ctas / (np.ceil(found.ctas / gpu.sms) * gpu.sms),
    )


def _limits(terms: Floats, names: tuple[Bottleneck, ...]) -> NDArray[np.str_]:
    longest: NDArray[np.str_] = np.array([str(name) for name in names])[np.argmax(terms, axis=0)]
    return longest


def _bars(
    kind: str,
    gpu: GpuSpec,
    calibration: Calibration,
    short: NDArray[np.bool_],
    dtype: DataType,
    l2_state: str,
) -> Floats:
    of = {name: calibration.error_pct(kind, "plain", gpu, name, dtype, l2_state) for name in ("short", "long")}
    return np.where(short, of["short"], of["long"])


def _tiled_of(rows: LayerRows, index: Rows, sort: str, dtype: DataType) -> Tiled:
    """Rows of one sort as the library sees them."""
    direction = direction_of(sort)
    problems = problems_of(rows, index, direction, float(dtype.bytes))
    ones = np.ones(len(index))
    if direction in ("matmul", "wgrad") or sort == STRIDED_GRADIENT:
        channels = Channels(ones, ones * (sort == "matmul"), *[0.0 * ones] * 3)
        return Tiled(problems, ones, ones < 0.0, sort, channels=channels)
    size = {name: values[index] for name, values in rows.sizes.items()}
    can_transform = (rows.words["algorithm"][index] == "fastest") & (size["groups"] == 1)
    can_transform = can_transform & (np.minimum(size["r"], size["s"]) >= LEAST_TRANSFORMED)
    for step in ("stride_h", "stride_w", "dilation_h", "dilation_w"):
        can_transform = can_transform & (size[step] == 1)
    if direction == "dgrad":
        channels = Channels(ones, *[0.0 * ones] * 4)
        return Tiled(problems, ones, can_transform, sort, _input_gradients(size, dtype), channels)
    taps = size["r"] * size["s"]
    is_product = (taps == 1) & (np.maximum(size["stride_h"], size["stride_w"]) == 1)
    odd_in, odd_out = (fills_no_load(size[x] / size["groups"], dtype).astype(np.float64) for x in ("c", "k"))
    channels = Channels(taps, is_product.astype(np.float64), odd_in, odd_out, 0.0 * ones)
    return Tiled(problems, taps, can_transform, sort, convolutions(rows, index, dtype), channels)


def _input_gradients(size: dict[str, Floats], dtype: DataType) -> ConvBatch:
    """Input gradients of unit steps as the forward convolutions that they are, with their channels exchanged."""
    ones, none = np.ones_like(size["n"]), np.zeros_like(size["n"])
    return ConvBatch(
        size["n"], size["k"], size["p"], size["q"], size["c"], size["r"], size["s"], ones, ones, none, none,
        size["dilation_h"], size["dilation_w"], size["groups"], size["h"], size["w"], ones * float(dtype.bytes),
    )  # fmt: skip


def problems_of(rows: LayerRows, index: Rows, sort: str, width: float) -> Problems:
    """The products of rows of one sort, as :mod:`headroom.predict.kinds.gemm` makes them from layers."""
    size = {name: values[index] for name, values in rows.sizes.items()}
    if sort == "matmul":
        m, n, k, b = size["m"], size["n"], size["k"], size["batch"]
        a, w, out = b * m * k * width, b * k * n * width, b * m * n * width
        return Problems(m, n, k, b, a, w, out, np.ones_like(m))
    n, c, k, g = size["n"], size["c"], size["k"], size["groups"]
    taps = size["r"] * size["s"]
    positions = n * size["p"] * size["q"]
    images, outputs = n * c * size["h"] * size["w"] * width, positions * k * width
    weights = k * (c / g) * taps * width
    if sort == "dgrad":
        m, columns = n * size["h"] * size["w"], c / g
        depth = np.ceil(positions * k * c * taps / g / (g * m * columns))
        return Problems(m, columns, depth, g, outputs, weights, images, np.ones_like(m))
    if sort == "wgrad":
        return Problems(k / g, c / g * taps, positions, g, outputs, images, weights, np.ones_like(n))
    reuse = np.minimum(1.0, size["stride_w"] / size["s"])
    images, torn = np.round(images * _read_share(size)), torn_share(size["p"] * size["q"], width)
    return Problems(positions, k / g, c / g * taps, g, images, weights, outputs, reuse, torn)


def convolutions(rows: LayerRows, index: Rows, dtype: DataType) -> ConvBatch:
    """Forward convolutions as DeLTA takes them."""
    size = {name: values[index] for name, values in rows.sizes.items()}
    return ConvBatch.build(
        n=size["n"], c=size["c"], h=size["h"], w=size["w"], k=size["k"], r=size["r"], s=size["s"],
        stride_h=size["stride_h"], stride_w=size["stride_w"], pad_h=size["padding_h"],
        pad_w=size["padding_w"], dilation_h=size["dilation_h"], dilation_w=size["dilation_w"],
        groups=size["groups"], bytes_per_element=dtype.bytes,
    )  # fmt: skip


def _forward_macs(rows: LayerRows, index: Rows) -> Floats:
    size = {name: values[index] for name, values in rows.sizes.items()}
    taps = size["r"] * size["s"]
    return size["n"] * size["p"] * size["q"] * size["k"] * size["c"] * taps / size["groups"]


def _read_share(size: dict[str, Floats]) -> Floats:
    """Share of the input that is read at all: a stride beyond the filter steps over positions."""
    share = np.ones_like(size["n"])
    for image, out, taps, stride in (("h", "p", "r", "stride_h"), ("w", "q", "s", "stride_w")):
        part = np.minimum(1.0, size[out] * size[taps] / size[image])
        share = share * np.where(size[stride] > size[taps], part, 1.0)
    return share


def _given_tiles(rows: LayerRows, index: Rows, problems: Problems, gpu: GpuSpec, dtype: DataType, sort: str) -> Tiles:
    m, n, k = (rows.sizes[name][index] for name in ("tile_m", "tile_n", "tile_k"))
    unit = unit_of(gpu, dtype)
    usual = main_loop_depth(gpu, dtype, unit)
    depth = given_depth(problems, m, n, gpu, dtype, unit) if sort == "forward" else usual
    return Tiles(m, n, np.where(k > 0, k, depth), np.ones_like(m))
