"""Predictions for the rows of a table, all rows of one sort at once.

The same constants, tiles and formulas as for a model's layers; each row's answer depends on that row alone, to
the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.gemm_problems import Floats, Problems, Tiles
from headroom.predict.gemm_time import estimate
from headroom.predict.kernel_sorts import CONVOLUTION_SORTS, STRIDED_GRADIENT, convolution_sorts, direct_bar_kind
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.layer_products import DIRECT_GROUP_CHANNELS
from headroom.predict.kinds.products import LIMITS, judged, surrounded
from headroom.predict.library import Choice, Tiled, fastest, with_whole_channels
from headroom.predict.memory_bound import STREAM_LIMITS, Streams, estimate_streams
from headroom.predict.prediction import Bottleneck
from headroom.predict.roofline import floors_of
from headroom.predict.sheet_doubt import widened_rows
from headroom.predict.table_input import DIRECTIONS, LayerRows
from headroom.predict.table_products import Rows, forward_macs, problems_of, tiled_of
from headroom.predict.tile_fit import fits, misfit
from headroom.predict.tiles import given_depth, main_loop_depth


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

    rows: LayerRows
    index: Rows
    sort: str
    context: Context

    def __len__(self) -> int:
        return len(self.index)

    def only(self, mask: NDArray[np.bool_]) -> Question:
        """Some of the rows."""
        return replace(self, index=self.index[mask])

    def sizes(self, *names: str) -> tuple[Floats, ...]:
        """Columns of the table."""
        return tuple(self.rows.sizes[name][self.index] for name in names)


def answer_rows(rows: LayerRows, gpu: GpuSpec, l2_state: str, calibration: Calibration) -> Answers:
    """Predict every good row."""
    answers = Answers.empty(len(rows))
    for question in _questions(rows, gpu, l2_state, calibration):
        if question.sort.startswith(("depthwise", "matvec")):
            _answer_streams(question, answers)
        else:
            _answer_gemms(question, answers)
    return answers


def _questions(rows: LayerRows, gpu: GpuSpec, l2_state: str, calibration: Calibration) -> Iterator[Question]:
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
        context = Context(gpu, dtype, l2_state, None, calibration)
        for sort, mask in _sorts(size, words).items():
            index = np.flatnonzero(typed & mask)
            for name, part in _by_kernel(rows, index, sort, context):
                yield Question(rows, part, name, context)


def _by_kernel(rows: LayerRows, index: Rows, sort: str, context: Context) -> Iterator[tuple[str, Rows]]:
    """Convolutions divided by the sorts of kernels that have constants of their own."""
    gpu, dtype, calibration = context.gpu, context.dtype, context.calibration
    if sort == "dgrad" and calibration.has_own(gpu, dtype, STRIDED_GRADIENT):
        step = np.maximum(rows.sizes["stride_h"][index], rows.sizes["stride_w"][index])
        names = np.where(step > 1, STRIDED_GRADIENT, sort)
    elif sort != "forward":
        names = np.full(len(index), sort)
    else:
        names = _forward_sorts(rows, index, dtype, context.unit)
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


def _answer_gemms(question: Question, answers: Answers) -> None:
    """Tiles as given, or as a tuned library would choose them."""
    (tile_m,) = question.sizes("tile_m")
    given, free = _with_possible_tiles(question.only(tile_m > 0)), question.only(tile_m == 0)
    if len(given):
        tiled = tiled_of(given.rows, given.index, given.sort, given.context.dtype)
        _put_gemms(given, tiled, _with_given_tiles(given, tiled), answers)
    if len(free):
        c = free.context
        tiled = tiled_of(free.rows, free.index, free.sort, c.dtype)
        _put_gemms(free, tiled, fastest(tiled, c.gpu, c.dtype, c.calibration, c.l2_state), answers)


def _with_possible_tiles(question: Question) -> Question:
    """The rows whose given tile fits an SM; the others are bad."""
    gpu, dtype = question.context.gpu, question.context.dtype
    m, n, k = question.sizes("tile_m", "tile_n", "tile_k")
    k = np.where(k > 0, k, main_loop_depth(gpu, dtype, question.context.unit))
    held = fits(m, n, k, gpu, dtype)
    for at in np.flatnonzero(~held):
        question.rows.errors[question.index[at]] = misfit(m[at], n[at], k[at], gpu, dtype)
    return question.only(held)


def _with_given_tiles(question: Question, tiled: Tiled) -> Choice:
    c = question.context
    constants = c.gemm_constants(question.sort)
    tiles = _given_tiles(question, tiled.problems)
    whole = with_whole_channels(tiled.problems, tiled.taps, constants.channel_bytes / c.dtype.bytes)
    found = estimate(whole, tiles, c.gpu, c.dtype, c.unit, constants, c.l2_state)
    return Choice(found, tiles, np.zeros(len(question), dtype="<U1"))


def _given_tiles(question: Question, problems: Problems) -> Tiles:
    c = question.context
    m, n, k = question.sizes("tile_m", "tile_n", "tile_k")
    usual = main_loop_depth(c.gpu, c.dtype, c.unit)
    depth = given_depth(problems, m, n, c.gpu, c.dtype, c.unit) if question.sort == "forward" else usual
    return Tiles(m, n, np.where(k > 0, k, depth), np.ones_like(m))


def _put_gemms(question: Question, tiled: Tiled, choice: Choice, answers: Answers) -> None:
    """What the chosen kernels cost, with what runs around them."""
    rows, index, context = question.rows, question.index, question.context
    problems = tiled.problems
    choice = surrounded(tiled, choice, rows.words["layout"][index] == "nchw", context)
    is_product = question.sort == "matmul"
    macs = problems.batch * problems.m * problems.n * problems.k if is_product else forward_macs(rows, index)
    moved = problems.a_bytes + problems.b_bytes + problems.c_bytes
    found = judged(tiled, choice, 2.0 * macs, moved, context.gpu, context)
    best = choice.estimate
    answers.put(
        index,
        time_us=found.time_us,
        error_pct=widened_rows(found.error_pct, found.limit, LIMITS, context.gpu),
        bottleneck=_names(LIMITS)[found.limit],
        l1_bytes=best.l1_bytes,
        l2_bytes=best.l2_bytes,
        dram_bytes=best.dram_bytes,
        ctas=best.ctas,
        waves=best.waves,
        tail_utilization=best.tail_utilization,
        tile_m=choice.tiles.m,
        tile_n=choice.tiles.n,
        tile_k=choice.tiles.k,
    )


def _answer_streams(question: Question, answers: Answers) -> None:
    """Depthwise convolutions and matrix-vector products: no multiplier tiles."""
    rows, index, context = question.rows, question.index, question.context
    gpu, dtype, l2_state = context.gpu, context.dtype, context.l2_state
    kind, _, direction = question.sort.partition(" ")
    width = float(dtype.bytes)
    problems = problems_of(rows, index, direction or "matmul", width)
    macs = forward_macs(rows, index) if direction else problems.batch * problems.m * problems.n * problems.k
    moved = problems.a_bytes + problems.b_bytes + problems.c_bytes
    ones = np.ones(len(index))
    # A weight gradient has few results: its threads run over the other gradient, and their sums are added up then.
    values = (problems.a_bytes if direction == "wgrad" else problems.c_bytes) / width
    passes = ones + (direction == "wgrad")
    streams = Streams(moved, ones, passes, values, 2.0 * macs, 0.0 * ones, np.ceil(macs / values))
    rate = gpu.peak_tflops(dtype, tensor=False)
    found = estimate_streams(streams, [kind] * len(index), gpu, rate, context.stream_constants, l2_state)
    floor = floors_of(2.0 * macs, moved, gpu.peak_tflops(dtype), gpu, l2_state)
    limit, known = found.limit, context.calibration
    short, long = (
        known.error_pct(direct_bar_kind(kind, direction), "plain", gpu, regime, dtype, l2_state)
        for regime in ("short", "long")
    )
    answers.put(
        index,
        time_us=np.maximum(found.time_us, floor),
        error_pct=widened_rows(np.where(found.is_short, short, long), limit, STREAM_LIMITS, gpu),
        bottleneck=_names(STREAM_LIMITS)[limit],
        l1_bytes=found.l2_bytes,
        l2_bytes=found.l2_bytes,
        dram_bytes=found.dram_bytes,
        ctas=found.ctas,
        waves=found.ctas / gpu.sms,
        tail_utilization=found.ctas / (np.ceil(found.ctas / gpu.sms) * gpu.sms),
    )


def _names(limits: tuple[Bottleneck, ...]) -> NDArray[np.str_]:
    return np.array([str(limit) for limit in limits])
