"""Rows to keep in a database: real layers, made-up times."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution
from headroom.store.export import select, to_json
from headroom.store.rows import Counters, Implementation, Kernel, NetworkTiming, Status, Sweep, System, Timing
from headroom.store.store import Store

SYSTEM = System("NVIDIA H200", "580.159.04", "13.0", "9.19.0", "13.1.0", "2.11.0")
OTHER = replace(SYSTEM, driver="570.1")
BF16 = DataType.BF16
NOON, LATER = "2026-11-21T12:00:00+00:00", "2026-11-21T13:00:00+00:00"


@cache
def make_chain(number: int = 0) -> Chain:
    """A 1x1 convolution; another number, another width."""
    width = 64 + number
    work = Convolution(1, 32, width, (8, 8), (8, 8), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    layer = Layer(
        "conv", "Conv", work,
        (TensorSpec("x", (1, 32, 8, 8)),), (TensorSpec("w", (width, 32, 1, 1)),), (TensorSpec("y", (1, width, 8, 8)),),
    )  # fmt: skip
    return Chain.of([layer])


def make_timing(name: str = "eng1_k2=5", l2: str = "warm", median_us: float = 10.25, **changes: object) -> Timing:
    kernel = Kernel(f"sm90_xmma_{name}_128x64x32", (132, 1, 1), (128, 1, 1), 168, 49152, (128, 64, 32))
    timing = Timing(
        Implementation("cudnn", name, "nhwc"), l2, Status.OK, "", median_us, 0.125, 31, 1980.0, 2619.0, 4, 1 << 33,
        (kernel, replace(kernel, tile=None)), 1.5e-4, 1e-2, None, None, "GPU-1234", NOON,
    )  # fmt: skip
    return replace(timing, **changes)  # type: ignore[arg-type]


def make_oom(l2: str = "warm") -> Timing:
    implementation = Implementation("cudnn", "eng9_k1=0", "nchw")
    return Timing(
        implementation, l2, Status.OOM, "needs 9 GB, 1 is free", needed_bytes=9 << 30, free_bytes=1 << 30,
        gpu_uuid="GPU-1234", measured_at=NOON,
    )  # fmt: skip


def make_step(step: Implementation, status: Status, l2: str = "warm") -> Timing:
    return Timing(step, l2, status, "it was not to be", gpu_uuid="GPU-1234", measured_at=NOON)


def make_timings(number: int = 0) -> tuple[Timing, ...]:
    """Two implementations in both states of the L2 cache, and one that failed; ``number`` shows in the times."""
    return (
        *(make_timing(f"eng{i}_k2=5", l2, 10.0 + i + number / 16) for i in (1, 2) for l2 in ("cold", "warm")),
        make_oom(),
    )


def make_sweep(number: int = 0, **changes: object) -> Sweep:
    sweep = Sweep(SYSTEM, make_chain(number), BF16, "all", make_timings(number), 0.5)
    return replace(sweep, **changes)  # type: ignore[arg-type]


def make_network(**changes: object) -> NetworkTiming:
    run = NetworkTiming(
        "ab" * 16, "resnet50", 1, BF16, "cuda-graph", Status.OK, "", 879.5, 3.5, 20, 120.5, 1 << 33, 1980.0, 0,
        "GPU-1234", NOON,
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]


def make_counters(name: str = "eng1_k2=5") -> Counters:
    return Counters(Implementation("cudnn", name, "nhwc"), 1e6, 5e5, 2.5e5, 0.75, 1.5)


def dump(store: Store) -> str:
    """Everything in a database, as text that is equal for equal contents."""
    return "".join(to_json(store, select(store)))
