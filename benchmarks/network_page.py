"""A whole network and its costliest layers as an H200 ran and counted them, as a page.

headroom measure MODEL --network --counters --db DATABASE                            (on the GPU)
headroom db export --db DATABASE --best 1 --out benchmarks/results/h200_network.json
python benchmarks/network_page.py                                                    (writes docs/network-figures.md)
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from headroom.gpu.sheets import gpu_of_driver
from headroom.gpu.spec import GpuSpec
from headroom.graph.layer import Layer
from headroom.graph.work import Elementwise
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction
from headroom.report.shapes import shape_text
from headroom.store.imported import JsonSource
from headroom.store.rows import Counters, NetworkTiming, System
from record import RESULTS, ROOT

#: Bytes that the hardware counted and that the theory predicts, by the name of either's field.
LEVELS = {"L1": "l1_bytes", "L2": "l2_bytes", "DRAM": "dram_bytes"}

#: A kernel that is counted less than this share of the prediction brings its operands past the counter.
_PASSED_BY = 0.01


@dataclass(frozen=True)
class Counted:
    """A layer in its fastest implementation: what ``ncu`` counted, and what the theory says of the layer."""

    layer: Layer
    counters: Counters
    prediction: Prediction

    def ratio(self, field: str) -> float | None:
        """Counted over predicted; ``None`` where the traffic took a way that is not counted."""
        ratio = float(getattr(self.counters, field)) / float(getattr(self.prediction, field))
        return ratio if ratio > _PASSED_BY else None


def counted_layers(source: JsonSource, gpu: GpuSpec) -> list[Counted]:
    """The layers of an export that were counted, the most traffic through L2 first."""
    found = []
    for record in source.records():
        for counters in record.counters:
            layer = record.chain.anchor
            # ncu empties the caches before each kernel.
            (prediction,) = predict_layers([layer], gpu, record.dtype, l2_state="cold")
            found.append(Counted(layer, counters, prediction))
    return sorted(found, key=lambda one: -one.counters.l2_bytes)


def text(system: System, runs: list[NetworkTiming], layers: list[Counted]) -> str:
    return "\n".join([*_head(system, runs[0]), *_runs(runs), *_explanation(layers), *_table(layers), ""])


def _head(system: System, run: NetworkTiming) -> list[str]:
    return [
        f"# {run.model}, as a whole and counted",
        "",
        f"{run.model} at batch {run.batch} in {run.dtype} on {system.title},",
        f"{run.measured_at[:10]}; what the columns mean is in [networks-measured.md](networks-measured.md). Written by",
        "`benchmarks/network_page.py`.",
        "",
    ]


def _runs(runs: list[NetworkTiming]) -> Iterator[str]:
    yield from (
        "## The whole network",
        "",
        "Power is energy over latency: that of the whole board.",
        "",
        "| mode | us per inference | interquartile range | energy, mJ | power, W | peak memory, MiB |",
        "|---|---:|---:|---:|---:|---:|",
    )
    for run in sorted(runs, key=lambda run: (run.median_us is None, run.median_us)):
        if run.median_us is None:
            yield f"| {run.mode} | {run.status}: {run.reason} | | | | |"
            continue
        energy, power = ("", "") if run.energy_mj is None else _energy(run.energy_mj, run.median_us)
        peak = "" if run.peak_bytes is None else f"{run.peak_bytes / 2**20:.0f}"
        spread = "" if run.iqr_us is None else f"{run.iqr_us / run.median_us:.1%}"
        yield f"| {run.mode} | {run.median_us:.0f} | {spread} | {energy} | {power} | {peak} |"
    yield ""


def _energy(energy_mj: float, time_us: float) -> tuple[str, str]:
    return f"{energy_mj:.0f}", f"{1000 * energy_mj / time_us:.0f}"


def _explanation(layers: list[Counted]) -> list[str]:
    middle = ", ".join(f"{_median(layers, field):.2f} through {name}" for name, field in LEVELS.items())
    certain = [one for one in layers if isinstance(one.layer.work, Elementwise)]
    return [
        "## Counted beside predicted",
        "",
        f"The {len(layers)} costliest layers, each in its fastest implementation under `ncu`, caches emptied before",
        "every kernel, beside the theory's bytes of the same layer with a cold L2. MB are millions of bytes; a ratio",
        f"is counted over predicted, in the median {middle}.",
        "",
        "- Asynchronous copies (TMA) do not pass the stage of L1 that is counted: such rows have no ratio there.",
        "- What a kernel leaves in L2 reaches DRAM after its end, and is not counted: the theory counts every write.",
        f"- Elementwise layers, whose traffic is certain, count {_median(certain, 'l1_bytes'):.2f} times in L1 and "
        f"{_median(certain, 'l2_bytes'):.2f} times in",
        "  L2, whose counter sees part of the bytes more than once on this GPU.",
        "",
    ]


def _median(layers: list[Counted], field: str) -> float:
    return statistics.median(ratio for one in layers if (ratio := one.ratio(field)) is not None)


def _table(layers: list[Counted]) -> Iterator[str]:
    levels = "".join(f" {name} MB | predicted | ratio |" for name in LEVELS)
    yield f"| layer | implementation |{levels} occupancy | waves |"
    yield f"|---|---|{'---:|' * (3 * len(LEVELS) + 2)}"
    for one in layers:
        cells = "".join(
            f" {getattr(one.counters, field) / 1e6:.1f} | {getattr(one.prediction, field) / 1e6:.1f} |"
            f" {'' if (ratio := one.ratio(field)) is None else f'{ratio:.2f}'} |"
            for field in LEVELS.values()
        )
        implementation = one.counters.implementation
        yield (
            f"| {one.layer.operator or one.layer.kind} {shape_text(one.layer)} | {implementation.backend} "
            f"`{implementation.engine}` |{cells} {one.counters.occupancy:.0%} | {one.counters.waves:.1f} |"
        )


def main() -> None:
    source = JsonSource(RESULTS / "h200_network.json")
    ((system, _), *_) = found = list(source.networks())
    gpu = gpu_of_driver(system.gpu)
    if gpu is None:
        raise SystemExit(f"{system.gpu} has no sheet to predict with")
    page = text(system, [run for _, run in found], counted_layers(source, gpu))
    (ROOT / "docs" / "network-figures.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
