"""Time layers of many sizes on this machine's GPU, for the calibration of its architecture.

    python benchmarks/h200_layers.py OUT_FOLDER [--dry-run]

Needs PyTorch and a GPU, nothing else. Writes ``h200_layers.csv`` (one row per layer) and ``h200_layers.json`` (GPU,
driver, versions, method). A layer is launched many times in one CUDA graph on the same operands, so host time is
out of the figure and the L2 cache is warm with whatever fits; the figure is the median over replays of the time per
launch. Operands are random, because zeros draw less power and run faster. ``--dry-run`` runs two tiny layers of each
sort on the CPU, untimed, to check the script itself.
"""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as functional

#: Launches are repeated inside a graph until one replay takes about this long.
REPLAY_US = 2000.0
MOST_LAUNCHES = 400
REPLAYS = 9

#: Measuring ends here and keeps what it has; the order is shuffled, so what is missing is missing evenly.
TIME_LIMIT_S = 480.0

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "tf32": torch.float32, "fp32": torch.float32}
SEED = 20261121

Row = dict[str, object]
Case = tuple[Row, Callable[[], Callable[[], object]]]


def spread(rng: random.Random, low: int, high: int, multiple: int = 1) -> int:
    """A whole number, log-uniform between two bounds, often a multiple of a power of two."""
    value = low * (high / low) ** rng.random()
    step = rng.choice([multiple, multiple, 8, 32, 64, 128]) if value >= 128 else multiple
    return max(low, round(value / step) * step)


def tensor(shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    return torch.randn(shape, device=DEVICE, dtype=torch.float32).to(DTYPES[dtype])


def matmuls(rng: random.Random) -> Iterator[Case]:
    """Plain and batched products, tall, wide and square, down to matrix-vector."""
    for dtype, count in (("bf16", 240), ("tf32", 70), ("fp32", 70)):
        for _ in range(count):
            batch = rng.choice([1, 1, 1, spread(rng, 2, 256)])
            top = 16384 if batch == 1 else 2048
            m = rng.choice([1, spread(rng, 1, 64), spread(rng, 64, top), spread(rng, 64, top)])
            n, k = spread(rng, 32, top, 8), spread(rng, 32, top, 8)
            macs = batch * m * n * k
            if macs < 1e10 if dtype == "fp32" else macs < 6e11:
                yield matmul_case(dtype, batch, m, n, k)


def matmul_case(dtype: str, batch: int, m: int, n: int, k: int) -> Case:
    def make() -> Callable[[], object]:
        a, b = tensor((batch, m, k), dtype), tensor((batch, n, k), dtype).transpose(1, 2)
        if batch == 1:
            a, b = a[0], b[0]
        out = a @ b
        return lambda: torch.matmul(a, b, out=out)

    return {"op": "matmul", "dtype": dtype, "batch": batch, "m": m, "n": n, "k": k}, make


def convolutions(rng: random.Random) -> Iterator[Case]:
    """Shapes as classification and detection networks have them, and depthwise ones."""
    for dtype, count in (("bf16", 220), ("tf32", 60), ("fp32", 60)):
        for index in range(count):
            depthwise = index % 6 == 5
            r = rng.choice([3, 5, 7]) if depthwise else rng.choice([1, 1, 3, 3, 3, 5, 7])
            c = spread(rng, 16, 1024, 8)
            k = c if depthwise else spread(rng, 16, 1024, 8)
            size = rng.choice([7, 8, 14, 16, 28, 32, 56, 64, 112])
            n = spread(rng, 1, 64)
            stride = rng.choice([1, 1, 1, 2])
            macs = n * (size // stride) ** 2 * k * r * r * (1 if depthwise else c)
            elements = n * size * size * max(c, k)
            if elements < 4e8 and (macs < 5e9 if dtype == "fp32" else macs < 2e11):
                yield convolution_case(dtype, n, c, size, k, r, stride, c if depthwise else 1)


def convolution_case(dtype: str, n: int, c: int, size: int, k: int, r: int, stride: int, groups: int) -> Case:
    def make() -> Callable[[], object]:
        x = tensor((n, c, size, size), dtype).to(memory_format=torch.channels_last)
        w = tensor((k, c // groups, r, r), dtype).to(memory_format=torch.channels_last)
        return lambda: functional.conv2d(x, w, None, stride, r // 2, 1, groups)

    sizes = {"n": n, "c": c, "h": size, "w": size, "k": k, "r": r, "s": r, "stride": stride, "padding": r // 2}
    return {"op": "conv2d", "dtype": dtype, "groups": groups, "layout": "nhwc", **sizes}, make


def streams(rng: random.Random) -> Iterator[Case]:
    """Everything that moves more than it computes, over four decades of size."""
    for step, dtype in itertools.product(range(15), ("bf16", "fp32")):
        c = rng.choice([64, 256, 512, 768, 1024])
        rows = max(1, round(2 ** (11 + 1.2 * step) / c))
        yield stream_case("relu", dtype, (rows, c), lambda x: functional.relu(x))
        yield stream_case("gelu", dtype, (rows, c), lambda x: functional.gelu(x))
        yield stream_case("add", dtype, (rows, c), lambda x, y: x + y, operands=2)
        yield stream_case("layer_norm", dtype, (rows, c), lambda x: functional.layer_norm(x, x.shape[-1:]))
        yield stream_case("softmax", dtype, (rows, c), lambda x: functional.softmax(x, -1))
        yield stream_case("reduce_mean", dtype, (rows, c), lambda x: x.mean(-1))
        yield stream_case("transpose", dtype, (rows, c), lambda x: x.t().contiguous())
        yield stream_case("concat", dtype, (rows, c), lambda x, y: torch.cat((x, y), -1), operands=2)
        size = rng.choice([7, 14, 28, 56])
        images = (max(1, round(rows / size / size)), c, size, size)
        yield stream_case("batch_norm", dtype, images, batch_norm, channels_last=True)
        yield stream_case("max_pool", dtype, images, lambda x: functional.max_pool2d(x, 3, 2, 1), channels_last=True)
        yield stream_case("global_pool", dtype, images, lambda x: x.mean((2, 3)), channels_last=True)


def batch_norm(x: torch.Tensor) -> torch.Tensor:
    c = x.shape[1]
    if c not in STATISTICS:
        STATISTICS[c] = [torch.rand(c, device=x.device) + 0.5 for _ in range(4)]
    mean, variance, weight, bias = STATISTICS[c]
    return functional.batch_norm(x, mean, variance, weight, bias)


STATISTICS: dict[int, list[torch.Tensor]] = {}


def stream_case(
    op: str,
    dtype: str,
    shape: tuple[int, ...],
    run: Callable[..., torch.Tensor],
    *,
    operands: int = 1,
    channels_last: bool = False,
) -> Case:
    def make() -> Callable[[], object]:
        order = torch.channels_last if channels_last else torch.contiguous_format
        inputs = [tensor(shape, dtype).contiguous(memory_format=order) for _ in range(operands)]
        return lambda: run(*inputs)

    return {"op": op, "dtype": dtype, "shape": "x".join(map(str, shape))}, make


def attentions(rng: random.Random) -> Iterator[Case]:
    """Fused attention, prompt and decode shapes."""
    for _ in range(60):
        batch, heads = rng.choice([1, 2, 8, 16, 32]), rng.choice([8, 12, 16, 32])
        length = rng.choice([64, 128, 197, 256, 512, 1024, 2048, 4096])
        queries, head_dim, causal = rng.choice([length, length, length, 1]), rng.choice([64, 128]), rng.random() < 0.4
        if batch * heads * queries * length <= 2**32:
            yield attention_case(batch, heads, queries, length, head_dim, causal and queries == length)


def attention_case(batch: int, heads: int, queries: int, keys: int, head_dim: int, causal: bool) -> Case:
    def make() -> Callable[[], object]:
        q = tensor((batch, heads, queries, head_dim), "bf16")
        k, v = (tensor((batch, heads, keys, head_dim), "bf16") for _ in range(2))
        return lambda: functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    sizes = {"batch": batch, "heads": heads, "m": queries, "n": keys, "k": head_dim, "causal": int(causal)}
    return {"op": "attention", "dtype": "bf16", **sizes}, make


def recurrences(rng: random.Random) -> Iterator[Case]:
    """LSTM stacks."""
    for _ in range(12):
        batch, length = rng.choice([1, 8, 32]), rng.choice([16, 64, 128])
        width, hidden, layers = rng.choice([128, 256, 512]), rng.choice([128, 256, 512]), rng.choice([1, 2])
        yield recurrence_case(batch, length, width, hidden, layers)


def recurrence_case(batch: int, length: int, width: int, hidden: int, layers: int) -> Case:
    def make() -> Callable[[], object]:
        cell = torch.nn.LSTM(width, hidden, layers, batch_first=True).to(DEVICE, torch.bfloat16).eval()
        cell.flatten_parameters()
        x = tensor((batch, length, width), "bf16")
        return lambda: cell(x)

    sizes = {"batch": batch, "length": length, "k": width, "n": hidden, "layers": layers}
    return {"op": "lstm", "dtype": "bf16", **sizes}, make


def timed(launch: Callable[[], object]) -> tuple[float, float, int]:
    """Median and interquartile range of the time per launch in microseconds, and launches per replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            launch()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(5):
        launch()
    torch.cuda.synchronize()
    guess_us = (time.perf_counter() - begin) / 5 * 1e6
    launches = max(1, min(MOST_LAUNCHES, round(REPLAY_US / max(guess_us / 3, 2.0))))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(launches):
            launch()
    graph.replay()
    samples = []
    for _ in range(REPLAYS):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        stop.record()
        stop.synchronize()
        samples.append(start.elapsed_time(stop) * 1e3 / launches)
    low, _, high = statistics.quantiles(samples, n=4)
    return statistics.median(samples), high - low, launches


def measure(case: Case) -> Row:
    """One row; a layer that does not run keeps its reason."""
    row, make = case
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = row["dtype"] == "tf32"
    try:
        with torch.inference_mode():
            launch = make()
            if DEVICE == "cpu":
                launch()
                return row
            median_us, spread_us, launches = timed(launch)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        return {**row, "status": " ".join(str(error).split())[:120]}
    figures = {"time_us": f"{median_us:.4f}", "iqr_us": f"{spread_us:.4f}", "launches": launches}
    return {**row, **figures, "status": "ok"}


def main() -> None:
    out = Path(sys.argv[1])
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.benchmark_limit = 0
    rng = random.Random(SEED)
    sorts = [matmuls, convolutions, streams, attentions, recurrences]
    cases = [case for sort in sorts for case in (itertools.islice(sort(rng), 2) if DEVICE == "cpu" else sort(rng))]
    random.Random(1).shuffle(cases)  # a warming GPU must not look like a trend over the size
    rows = []
    begin = time.monotonic()
    for number, case in enumerate(cases):
        if time.monotonic() - begin > TIME_LIMIT_S:
            print(f"time is up after {number} of {len(cases)}", flush=True)
            break
        rows.append(measure(case))
        if number % 100 == 0:
            print(f"{number} of {len(cases)}", flush=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (out / "h200_layers.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (out / "h200_layers.json").write_text(json.dumps(about(), indent=1) + "\n")
    print(f"{sum(row.get('status') == 'ok' for row in rows)} of {len(rows)} rows timed")


def about() -> Row:
    facts: Row = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "python": platform.python_version()}
    facts |= {"torch": torch.__version__, "method": __doc__}
    if DEVICE == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
        facts |= {"cudnn": torch.backends.cudnn.version(), "driver": driver_version()}
    return facts


def driver_version() -> str:
    import pynvml

    pynvml.nvmlInit()
    return str(pynvml.nvmlSystemGetDriverVersion())


DEVICE = "cpu" if "--dry-run" in sys.argv else "cuda"

if __name__ == "__main__":
    main()
