"""Times of the kernels that split packed values, on this GPU: Figure 11 anew, and linear layers at small batch.

    python benchmarks/fission_kernels.py [--dry-run] [--minutes N] [--part PART] [--network NAME]

PART is ``products``, ``linear`` or ``convolutions``; nothing is begun after N minutes. Writes
``benchmarks/results/fission_kernels.json`` row by row, so that an interrupted run goes on where it stopped; rows of
another GPU or driver are kept apart. ``--dry-run`` needs no GPU: it lists what would be timed, with an H200's bound.
Weights of linear layers lie in as many copies as exceed the L2, taken in turn: every launch finds them in DRAM.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import fission_convolutions
from fission_sizes import LINEAR, PRODUCTS
from headroom.change.fission.kernels.convolutions import Convolution
from headroom.change.fission.kernels.gemm_variants import figure_11
from headroom.change.fission.kernels.sources import variants
from headroom.gpu.sheets import load_gpu
from headroom.predict.packed import SlotBound, gemm_bound, linear_bound, unpacking_of
from record import RESULTS, write_result

NAME = "fission_kernels"
FORMS = ("deft16q", "deft8e3", "fp8_e4m3", "int8", "int4_g128")
BATCHES = (1, 4, 8)
#: What a layer's own library does, by the name in the table.
LIBRARIES = ("library", "torchao int8", "torchao int4", "fp8 matmul")


@dataclass(frozen=True)
class Row:
    """One thing to time: a product (m, n, k) or a convolution as one in a variant of Figure 11, or a linear layer in a
    format. ``batch`` is a convolution's.
    """

    part: str
    layer: str
    m: int
    n: int
    k: int
    how: str
    dtype: str = "fp32"
    batch: int = 0

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def rows() -> Iterator[Row]:
    """Everything, the most telling first."""
    for layer, n, k in LINEAR:
        for dtype in ("bf16", "fp32"):
            for batch in BATCHES:
                libraries = LIBRARIES if dtype == "bf16" else LIBRARIES[:1]
                for how in (*libraries, *FORMS):
                    yield Row("linear", layer, batch, n, k, how, dtype)
    for layer, m, n, k in PRODUCTS:
        for how in ("library", *figure_11()):
            yield Row("products", layer, m, n, k, how)
    for how in fission_convolutions.ways():
        for batch in fission_convolutions.BATCHES:
            for place in fission_convolutions.places():
                layer = place.at(batch)
                yield Row("convolutions", place.name, layer.pixels, layer.outputs, layer.k(1), how, batch=batch)


def bound(row: Row, gpu: Any) -> SlotBound | None:
    """What the row cannot beat; ``None`` for libraries."""
    if row.how in LIBRARIES:
        return None
    if row.part == "linear":
        group = int(row.how.rpartition("_g")[2]) if "_g" in row.how else row.k
        bits = 32 if row.dtype == "fp32" else 16
        costs = unpacking_of(row.how)
        return linear_bound(
            gpu, costs, outputs=row.n, k=row.k, samples=row.m, activation_bits=bits, group=group, rows=4
        )
    if row.part == "convolutions":
        return fission_convolutions.bound(gpu, convolution(row), row.how)
    variant = figure_11()[row.how]
    left, right = unpacking_of(variant.left.form), unpacking_of(variant.right.form)
    return gemm_bound(gpu, left, right, m=row.m, n=row.n, k=row.k, near=variant.left.where != "AHEAD")


def convolution(row: Row) -> Convolution:
    """The layer of the row."""
    return next(place.at(row.batch) for place in fission_convolutions.places() if place.name == row.layer)


def timed(row: Row) -> dict[str, Any]:
    """The row's time, or why it has none."""
    from fission_timing import convolution_times, linear_times, product_time

    if row.part == "convolutions":
        layer = convolution(row)
        tiles = () if row.how in LIBRARIES else (64, 128)
        return convolution_times(layer, [fission_convolutions.instance(layer, row.how, tile) for tile in tiles])
    if row.part == "products":
        variant = None if row.how == "library" else figure_11()[row.how]
        return product_time(variant, row.m, row.n, row.k)
    shapes = () if row.how in LIBRARIES else variants(row.how, row.dtype, row.m)
    return linear_times(row.how, row.dtype, row.m, row.n, row.k, shapes)


def measure(
    wanted: list[Row], system: str, done: list[dict[str, Any]], minutes: float, timer: Callable[[Row], dict[str, Any]]
) -> Iterator[list[dict[str, Any]]]:
    """All rows known after each newly timed one; those of ``system`` that are done are not timed again."""
    known = {(row["system"], row["key"]) for row in done}
    end = time.monotonic() + 60 * minutes
    for row in wanted:
        if (system, row.key) in known:
            continue
        if time.monotonic() > end:
            return
        done.append({"system": system, "key": row.key, **asdict(row), **timer(row)})
        yield done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--part", choices=("products", "linear", "convolutions"))
    parser.add_argument("--network", help="only layers whose name begins so")
    chosen = parser.parse_args()
    wanted = [row for row in rows() if chosen.part in (None, row.part) and row.layer.startswith(chosen.network or "")]
    if chosen.dry_run:
        show(wanted)
        return
    from fission_timing import system_name

    path = RESULTS / f"{NAME}.json"
    done = json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []
    for known in measure(wanted, system_name(), done, chosen.minutes, timed):
        write_result(NAME, {"rows": known})
        last = known[-1]
        print(
            f"{last['layer']} m={last['m']} {last['dtype']} {last['how']}: {last.get('time_us') or last['why']}",
            flush=True,
        )


def show(wanted: list[Row]) -> None:
    """The rows with their bounds on an H200."""
    gpu = load_gpu("h200")
    for row in wanted:
        limit = bound(row, gpu)
        told = "" if limit is None else f"  at least {limit.time_us:.1f} us ({limit.limit})"
        print(f"{row.part} {row.layer} {row.m}x{row.n}x{row.k} {row.dtype} {row.how}{told}")


if __name__ == "__main__":
    main()
