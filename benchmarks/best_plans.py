"""What the fastest implementation of every measured convolution gains over what PyTorch picks.

    python benchmarks/best_plans.py [DATABASE]

Reads the package's database (or another one) and writes ``results/best_plans.json`` and ``docs/best-plans.md``. Nothing
is measured here: all implementations of a layer were timed by one process on one GPU, the fastest few of them by turns,
except in layers that were taken up again later, which the page counts.
PyTorch's rows are the better of its two layouts, by its default heuristic and with ``cudnn.benchmark`` (no limit).
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.graph.chain import Chain
from headroom.graph.kinds import LayerKind
from headroom.graph.work import Convolution
from headroom.store.rows import Status, System, Timing
from headroom.store.store import Store
from headroom.store.walk import walk_records
from record import ROOT, write_result

SHIPPED = ROOT / "src" / "headroom" / "store" / "shipped" / "h200.sqlite"

#: PyTorch's own choices, by the names of their rows.
CHOICES = {"default": "conv2d", "cudnn.benchmark": "conv2d benchmark"}

WORST = 10

#: Characters of an implementation's name: cuBLASLt's may end in 64 bytes of hexadecimal digits.
MOST_NAME = 40


@dataclass(frozen=True)
class Layer:
    """One convolution in one data type: its fastest implementation, and what PyTorch chooses, by the choice."""

    chain: Chain
    dtype: str
    best: Timing
    choices: dict[str, Timing]

    def ratio(self, choice: str) -> float:
        return median_us(self.choices[choice]) / median_us(self.best)

    def was_one_sitting(self, choice: str) -> bool:
        """Whether one GPU timed both."""
        return self.choices[choice].gpu_uuid == self.best.gpu_uuid

    @property
    def shape(self) -> str:
        """``1x512x64x64 * 160x3x3 / 2``: input, filters, stride."""
        work = self.chain.anchor.work
        assert isinstance(work, Convolution)
        image = "x".join(map(str, (work.batch, work.in_channels, *work.in_size)))
        filters = "x".join(map(str, (work.out_channels, *work.kernel)))
        stride = f" / {'x'.join(map(str, work.stride))}" if max(work.stride) > 1 else ""
        groups = f", {work.groups} groups" if work.groups > 1 else ""
        return f"{image} * {filters}{stride}{groups}"


def read(database: Path) -> tuple[System, list[Layer]]:
    """Every convolution of which one of PyTorch's choices was timed."""
    found = []
    with Store.open(database, read_only=True) as store:
        system = store.systems()[0].system
        with store.database.reading() as connection:
            for record in walk_records(connection, system):
                if record.chain.is_fused or record.chain.anchor.kind is not LayerKind.CONVOLUTION:
                    continue
                timed = [row for row in record.timings if row.l2 == "warm" and row.status is Status.OK]
                chosen = ((choice, _fastest(timed, name)) for choice, name in CHOICES.items())
                choices = {choice: timing for choice, timing in chosen if timing is not None}
                if choices:
                    found.append(Layer(record.chain, str(record.dtype), min(timed, key=median_us), choices))
    return system, found


def _fastest(timed: list[Timing], name: str) -> Timing | None:
    """PyTorch's row by the choice ``name``, if it was timed."""
    ours = (row for row in timed if (row.implementation.backend, row.implementation.name) == ("torch", name))
    return min(ours, key=median_us, default=None)


def median_us(timing: Timing) -> float:
    """The time of a row that has one, microseconds."""
    assert timing.median_us is not None
    return timing.median_us


def summary(layers: list[Layer]) -> dict[str, Any]:
    """Per choice: the geometric mean of PyTorch's time over the best, and the share of layers that lose over 10 %."""
    result: dict[str, Any] = {}
    for choice in CHOICES:
        chosen = [layer for layer in layers if choice in layer.choices]
        ratios = [layer.ratio(choice) for layer in chosen]
        if not ratios:
            continue
        result[choice] = {
            "layers": len(ratios),
            "geometric_mean": statistics.geometric_mean(ratios),
            "median": statistics.median(ratios),
            "above_10_pct": sum(ratio > 1.1 for ratio in ratios) / len(ratios),
            "worst": max(ratios),
            "of_two_gpus": sum(not layer.was_one_sitting(choice) for layer in chosen),
        }
    return result


def text(system: System, by_dtype: dict[str, list[Layer]], result: dict[str, Any]) -> str:
    lines = [
        "# The best plan beside PyTorch's choice",
        "",
        f"Every distinct convolution of the database on {system.title},",
        "unfused, with a warm L2. A ratio is PyTorch's time over that of the fastest implementation (all plans of",
        "cuDNN, cuBLASLt's algorithms, a compiled one, PyTorch itself); PyTorch has the better of NCHW and NHWC.",
        "Of some, two GPUs of the same system timed the two, because the layer was taken up again later: what was not",
        "among its fastest few then was not timed anew. Written by `benchmarks/best_plans.py`.",
        "",
        "| data type | PyTorch | convolutions | geometric mean | median | over 10 % slower | worst | by two GPUs |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {dtype} | {choice} | {row['layers']} | {row['geometric_mean']:.2f} | {row['median']:.2f} | "
        f"{row['above_10_pct']:.0%} | {row['worst']:.1f} | {row['of_two_gpus']} |"
        for dtype, rows in result.items()
        for choice, row in rows.items()
    ]
    for dtype, layers in by_dtype.items():
        for choice in result[dtype]:
            lines += [
                "",
                f"## Worst ten in {dtype}, {choice}",
                "",
                "| convolution | PyTorch us | best us | ratio | best implementation |",
                "|---|---:|---:|---:|---|",
            ]
            timed = [layer for layer in layers if choice in layer.choices]
            for layer in sorted(timed, key=lambda layer: -layer.ratio(choice))[:WORST]:
                way = layer.best.implementation
                lines.append(
                    f"| {layer.shape} | {median_us(layer.choices[choice]):.1f} | {median_us(layer.best):.1f} | "
                    f"{layer.ratio(choice):.2f} | {way.backend} `{way.name[:MOST_NAME]}` {way.layout} |"
                )
    return "\n".join([*lines, ""])


def main() -> None:
    database = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    system, layers = read(database)
    by_dtype: dict[str, list[Layer]] = {}
    for layer in layers:
        by_dtype.setdefault(layer.dtype, []).append(layer)
    result = {dtype: summary(group) for dtype, group in by_dtype.items()}
    write_result("best_plans", {"system": system.title, "by_dtype": result})
    page = text(system, by_dtype, result)
    (ROOT / "docs" / "best-plans.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
