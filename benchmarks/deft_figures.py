"""The DeftNN paper's Figures 11, 12, 13 and 18 on an H200, by its theory and, where rows are, as measured.

    python benchmarks/deft_figures.py

Writes ``docs/near-compute.md``. Bounds are those of :mod:`headroom.predict.packed`; measured rows are those of
``results/fission_kernels.json``, which ``fission_kernels.py`` takes on a GPU. Nothing here needs one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from fission_convolutions import BATCHES, NETWORKS, Place, bound, instance, places
from headroom.change.fission.kernels.gemm_variants import figure_11
from headroom.change.fission.kernels.sources import variants
from headroom.gpu.sheets import load_gpu
from headroom.predict.packed import SlotBound, gemm_bound, linear_bound, unpacking_of
from page_tables import table
from record import RESULTS, ROOT
from synapse_layers import LAYERS, PaperLayer

PAGE = ROOT / "docs" / "near-compute.md"
GPU = "h200"
BASE = "no fission"
PIPES = {"fma": "fp32", "alu": "integer", "issue": "issue slots", "shared": "shared memory", "l2": "L2", "dram": "DRAM"}
#: Software against the unit, and where values are split.
FIGURE_12 = (BASE, "Deft-16Q", "Deft-16H (simulated unit)", "Deft-8, 4 exponent bits", "Deft-8H (simulated unit)")
FIGURE_18 = ("Deft-16Q", "Deft-16Q, off-chip packing", "Deft-8H (simulated unit)", "Deft-8, off-chip packing")
#: Half of the synapse vectors, the paper's; batches of up to so many samples run the small-batch kernel.
DENSITY, FEW = 0.5, 8


@dataclass(frozen=True)
class Network:
    """A network's layers: convolutions, and linear layers as (outputs, K)."""

    name: str
    convolutions: list[Place]
    linear: list[tuple[int, int]]


def networks() -> list[Network]:
    """The paper's four."""
    return [
        Network(name, [each for each in places() if each.layer.network == name], linear_of(name)) for name in NETWORKS
    ]


def linear_of(name: str) -> list[tuple[int, int]]:
    if name.startswith("VGG16"):
        return [(4096, 25088), (4096, 4096), (1000, 4096)]
    return [(each.outputs, each.channels) for each in LAYERS if each.network == name and each.linear]


def layers(network: Network, gpu: Any, batch: int, how: str, density: float = 1.0) -> Iterator[tuple[SlotBound, int]]:
    """Each layer's bound, and how many are alike."""
    for place in network.convolutions:
        yield bound(gpu, slim(place, density).at(batch), how), place.count
    sides = figure_11()[how]
    left, right = unpacking_of(sides.left.form), unpacking_of(sides.right.form)
    for outputs, dense_k in network.linear:
        k = round(dense_k * density)
        if batch <= FEW:
            rows = max(each.rows for each in variants("int8", "fp32", batch))
            yield linear_bound(gpu, right, outputs=outputs, k=k, samples=batch, rows=rows), 1
        else:
            near = sides.left.where != "AHEAD"
            yield gemm_bound(gpu, left, right, m=batch, n=outputs, k=k, near=near), 1


def slim(place: Place, density: float) -> Place:
    """With so many of its input channels; images keep theirs."""
    layer: PaperLayer = place.layer
    if density == 1.0 or layer.channels <= 3:
        return place
    return replace(place, layer=replace(layer, channels=round(layer.channels * density)))


def total_us(network: Network, gpu: Any, batch: int, how: str, density: float = 1.0) -> float:
    """All layers' bounds, one after the other."""
    return sum(count * each.time_us for each, count in layers(network, gpu, batch, how, density))


def busy(network: Network, gpu: Any, batch: int, how: str) -> Mapping[str, float]:
    """Each resource's share of the time."""
    every = list(layers(network, gpu, batch, how))
    total = sum(count * each.time_us for each, count in every)
    names = [field.name for field in fields(SlotBound)]
    return {
        name.removesuffix("_us"): sum(count * getattr(each, name) for each, count in every) / total for name in names
    }


def read_megabytes(network: Network, batch: int, how: str) -> float:
    """What convolutions read from shared memory, by the tiles of the kernel, in units of 10^6 bytes."""
    total = 0.0
    for place in network.convolutions:
        layer = place.at(batch)
        variant = instance(layer, how)
        macs = 128.0 * variant.tile_n * layer.tiles(variant.tile_n) * layer.k(variant.load_values)
        total += place.count * macs * (variant.left.shared_bits / 64 + variant.right.shared_bits / 32) / 8 / 1e6
    return total


def measured() -> Mapping[tuple[str, int, str], float]:
    """Microseconds of convolutions by layer, batch and way, of the newest system; empty without rows."""
    path = RESULTS / "fission_kernels.json"
    rows = json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []
    rows = [row for row in rows if row["part"] == "convolutions" and row.get("time_us")]
    return {
        (row["layer"], row["batch"], row["how"]): row["time_us"] for row in rows if row["system"] == rows[-1]["system"]
    }


def page() -> str:
    gpu = load_gpu(GPU)
    lines = [HEAD, *figure_11_lines(gpu), *figure_12_lines(gpu), *figure_13_lines(gpu), *figure_18_lines(gpu)]
    lines += measured_lines(measured())
    return "\n".join(lines).rstrip() + "\n"


HEAD = """# Near the compute, on an H200

Written by `benchmarks/deft_figures.py`.

The DeftNN paper's comparisons of formats ([fission.md](fission.md)) with the kernels as they are here, on an H200's
sheet. **These are bounds**: the least time that multiply-adds, instructions, shared memory, L2 and DRAM leave, layer by
layer, all overlapped; no kernel is faster, and how near one comes is to be measured. Speedups are ratios of bounds to
those of the same kernel without fission. Networks are the paper's: AlexNet and VGG16 at 224x224, CifarNet, LeNet-5. One
or three channels of packed images are filled up to a word, which costs LeNet-5 most.
"""


def figure_11_lines(gpu: Any) -> Iterator[str]:
    yield "## Every format (Figure 11)\n"
    yield "Speedup over no fission that the bounds allow, whole networks, convolutions and linear layers.\n"
    head = ("format", *(f"{each.name}, {batch}" for each in networks() for batch in BATCHES))
    found = []
    for how in figure_11():
        cells = []
        for network in networks():
            for batch in BATCHES:
                ratio = total_us(network, gpu, batch, BASE) / total_us(network, gpu, batch, how)
                cells.append(f"{ratio:.2f}")
        found.append((how, *cells))
    yield from table(head, found)


def figure_12_lines(gpu: Any) -> Iterator[str]:
    yield "## Software and the unit (Figure 12)\n"
    yield (
        "Batch 32: what convolutions read from shared memory, and how long each resource is busy while the one that\n"
        "binds works without pause. Shared memory, which bound the paper's GPU, is far from it here.\n"
    )
    found = []
    for network in networks()[:2]:
        for how in FIGURE_12:
            shares = busy(network, gpu, 32, how)
            cells = [f"{100 * shares[pipe]:.0f} %" for pipe in PIPES]
            found.append((network.name, how, f"{read_megabytes(network, 32, how):.0f}", *cells))
    yield from table(("network", "format", "MB from shared memory", *PIPES.values()), found)


def figure_13_lines(gpu: Any) -> Iterator[str]:
    yield "## With half of the synapse vectors (Figure 13)\n"
    yield "Speedup over the dense network without fission, both by their bounds.\n"
    ways = ("no fission", "Deft-16Q", "Deft-16H (simulated unit)", "Deft-8H (simulated unit)")
    found = speedups(gpu, ways, DENSITY)
    yield from table(("network", "batch", "slim alone", *(f"slim, {how}" for how in ways[1:])), found)


def figure_18_lines(gpu: Any) -> Iterator[str]:
    yield "## Near the compute or off the chip (Figure 18)\n"
    yield "Speedup over no fission that the bounds allow.\n"
    yield from table(("network", "batch", *FIGURE_18), speedups(gpu, FIGURE_18))


def speedups(gpu: Any, ways: Sequence[str], density: float = 1.0) -> list[tuple[object, ...]]:
    """Each network and batch, and how much faster than without fission each way can be, by their bounds."""
    found: list[tuple[object, ...]] = []
    for network, batch in product(networks(), BATCHES):
        base = total_us(network, gpu, batch, BASE)
        cells = [f"{base / total_us(network, gpu, batch, how, density):.2f}" for how in ways]
        found.append((network.name, batch, *cells))
    return found


def measured_lines(times: Mapping[tuple[str, int, str], float]) -> Iterator[str]:
    """Sums of convolutions whose every layer was timed."""
    yield "## Measured\n"
    if not times:
        yield "Nothing yet: no GPU has run these kernels for a figure."
        return
    gpu, found = load_gpu(GPU), []
    for network in networks():
        for batch in BATCHES:
            for how in ("library", *figure_11()):
                keys = [((place.name, batch, how), place) for place in network.convolutions]
                if any(key not in times for key, _ in keys):
                    continue
                total = sum(place.count * times[key] for key, place in keys)
                share = "" if how == "library" else f"{100 * _bounds(network, gpu, batch, how) / total:.0f} %"
                found.append((network.name, batch, how, f"{total:.1f}", share))
    yield "Convolutions alone, strict fp32, microseconds; `library` is PyTorch's by cuDNN's own search.\n"
    yield from table(("network", "batch", "format", "us", "of the bound"), found)


def _bounds(network: Network, gpu: Any, batch: int, how: str) -> float:
    return sum(place.count * bound(gpu, place.at(batch), how).time_us for place in network.convolutions)


def main() -> None:
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
