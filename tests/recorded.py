"""A database as an H200 leaves it: written through the real store, read back by answers and reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headroom.graph.chain import Chain, graph_digest
from headroom.graph.chains import fusible_chains, segments
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.store.rows import Implementation, Kernel, NetworkTiming, Status, Sweep, System, Timing
from headroom.store.store import Store
from measured_rows import SYSTEM

_KERNEL = Kernel("sm90_xmma_fprop_implicit_gemm_bf16_tilesize128x128x64", (132, 1, 1), (128, 1, 1), 168, 196_608,
                 (128, 128, 64))  # fmt: skip


def model_parts(graph: Graph) -> Iterator[Chain]:
    """Every layer of a model and every part of its chains that is worth timing, each once."""
    found = {}
    for configuration in graph.configurations:
        found.setdefault((chain := Chain.of([configuration.layer])).digest, chain)
    for members in fusible_chains(graph):
        layers = [graph.layers[index] for index in members]
        for start, stop in segments(layers):
            found.setdefault((chain := Chain.of(layers[start:stop])).digest, chain)
    yield from found.values()


def sweep(chain: Chain, system: System = SYSTEM, dtype: DataType = DataType.BF16, factor: float = 1.0) -> Sweep:
    """What a visit leaves: a fast plan, a slower one, and one that the library declined."""
    base_us = factor * (2.2 + chain.macs / 3e8 + chain.bytes(dtype) / 4e6)
    name = "conv2d" if chain.anchor.kind is LayerKind.CONVOLUTION else "op"
    timings = []
    for l2, penalty in (("warm", 1.0), ("cold", 1.4)):
        fast, slow = base_us * penalty, 1.7 * base_us * penalty
        timings += [
            _ok(Implementation("cudnn", "eng22_k2=5_k13=1", "nhwc"), l2, fast, 0.01 * fast),
            _ok(Implementation("torch", name, "nchw"), l2, slow, 0.15 * slow),
            Timing(Implementation("cublaslt", "tile18_stages11"), l2, Status.UNSUPPORTED, "no heuristic result"),
        ]
    return Sweep(system, chain, dtype, "all", tuple(timings), seconds=0.4)


def _ok(implementation: Implementation, l2: str, median_us: float, iqr_us: float) -> Timing:
    return Timing(
        implementation, l2, Status.OK, median_us=median_us, iqr_us=iqr_us, samples=15, sm_clock_mhz=1980.0,
        memory_clock_mhz=3201.0, throttle_mask=0, workspace_bytes=0, kernels=(_KERNEL,), relative_error=2e-3,
        tolerance=1e-2, gpu_uuid="GPU-0", measured_at="2026-11-21T12:00:00Z",
    )  # fmt: skip


def network_runs(graph: Graph) -> list[NetworkTiming]:
    """Three ways of running a whole model, one of which the machine lacks."""
    digest = graph_digest(graph)

    def run(mode: str, median_us: float | None, **changes: object) -> NetworkTiming:
        values: dict[str, object] = {
            "status": Status.OK, "median_us": median_us, "iqr_us": 4.0, "samples": 30, "energy_mj": 250.0,
            "peak_bytes": 1 << 29, "measured_at": "2026-11-21T12:30:00Z",
        }  # fmt: skip
        known = (digest, graph.name, graph.batch, DataType.BF16, mode)
        return NetworkTiming(*known, **(values | changes))  # type: ignore[arg-type]

    return [
        run("eager", 3198.0),
        run("compile", 840.0),
        run("tensorrt", None, status=Status.UNSUPPORTED, reason="TensorRT is not installed", iqr_us=None, samples=0),
    ]


def record(file: Path, graph: Graph, *, leave_out: int = 0, system: System = SYSTEM) -> Path:
    """Fill the database at ``file`` with all but the last ``leave_out`` parts of ``graph``, and its network runs."""
    parts = list(model_parts(graph))
    with Store.open(file) as store:
        for chain in parts[: len(parts) - leave_out]:
            store.record(sweep(chain, system))
        for run in network_runs(graph):
            store.record_network(system, run)
    return file
