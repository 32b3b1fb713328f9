"""What every kernel of the libraries takes on an H200, not only the fastest one of each layer.

    python benchmarks/h200_kernels.py DATABASE      (a database that keeps every implementation; what the table holds
                                                     already and was faster stays)

The database that ships keeps the fastest implementation of every layer; the stopwatch timed some 70. From those this
script takes, per layer, data type, kernel, tile and division of K, the shortest time with a warm L2: clusters,
rasters and stages are the library's to choose. ``results/h200_kernels.csv.gz`` holds a row for each; the layers are
those of the shipped database, named by their digests.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from functools import cache

from record import RESULTS

TABLE = RESULTS / "h200_kernels.csv.gz"

#: Slower than this many times the layer's fastest, a kernel tells nothing that a choice depends on.
FURTHEST = 2.5

#: Families of kernels: how the libraries' names begin or what they contain. The first that fits counts.
FAMILIES = {
    "nvjet": "nvjet", "native 9.0": "fort_native_sm90_(convFwd|matMul)", "native 8.0": "fort_native_sm80_(conv|matMul)",
    "gather 9.0": "sm90_xmma_fprop", "product 9.0": "sm90_xmma_gemm", "gather 8.0 indexed": "sm80_xmma_fprop.*_indexed",
    "plain gather": "sm80_xmma_fprop.*_ffma_", "gather 8.0": "sm80_xmma_fprop|cutlass_tensorop.*fprop",
    "plain product": "sm80_xmma_gemm_f32f32_f32f32", "plain product, piped": "simt_sgemm",
    "Fourier": "sm80_xmma_gemm_cf32",
    "product 8.0": "sm80_xmma_gemm|cutlass_80_(wmma_)?tensorop", "fused 8.0": "convFwd.*cutlass_sm80",
    "direct": "implicit_convolve_sgemm|precomputed_convolve_sgemm|convolve_common_engine",
}  # fmt: skip

#: Kernels whose names give the tile column-major: the libraries compute the transposed product.
_TRANSPOSED = re.compile(r"nvjet_.*_T\w\w$|cutlass_80_")

#: A direct kernel's tile as powers of two, in its template's arguments.
_POWERS = re.compile(r"sgemmI\w*?Li\d+ELi(\d)ELi(\d)E|NHWCI\w*?Li\d+ELi(\d)ELi(\d)E")

#: How the names of cuBLASLt's algorithms tell into how many parts K is divided.
_DIVISION = re.compile(r"splitk(\d+)")

#: Launches beside the product, by what they do.
_ROLES = {"pad": "AddPadding", "convert": "convertTensor", "turn": "nchwToNhwc|nhwcToNchw|tensorTransform"}


@dataclass(frozen=True)
class Kernel:
    """One row: the shortest time of a family's tile; ``role`` says what stands around it, ``launches`` how many."""

    digest: str
    dtype: str
    family: str
    tile_m: int
    tile_n: int
    tile_k: int
    threads: int
    registers: int
    shared_bytes: int
    splits: int
    role: str
    launches: int
    time_us: float

    @property
    def key(self) -> tuple[object, ...]:
        """All that tells kernels apart."""
        return astuple(self)[: -len(("time_us",))]


Launch = tuple[str, str, int, int]


def kernel_of(digest: str, dtype: str, name: str, launches: list[Launch], time_us: float) -> Kernel | None:
    """What the launches of the implementation ``name`` say; None where none of them is a known product's."""
    told = _DIVISION.search(name)
    for kernel, shape, _, depth in launches:
        family = next((known for known, pattern in FAMILIES.items() if re.search(pattern, kernel)), None)
        size = _tile(kernel, shape)
        if family is None or size is None:
            continue
        block_x, block_y, _, registers, shared = map(int, shape.split()[:5])
        around = [other for other, *_ in launches if other != kernel]
        divided = any("split_k" in other or "splitKreduce" in other for other in around)
        splits = int(told[1]) if told else depth
        if divided and splits <= 1:
            return None  # into how many parts nothing tells
        splits = splits if divided else 1
        role = next((r for r, pattern in _ROLES.items() if any(re.search(pattern, x) for x in around)), "")
        role = role or ("divided" if divided else "cleared" if around else "")
        return Kernel(digest, dtype, family, *size, block_x * block_y, registers, shared, splits, role,
                      len(launches), round(time_us, 4))  # fmt: skip
    return None


def _tile(name: str, shape: str) -> tuple[int, int, int] | None:
    sizes = [int(part) for part in shape.split()[5:]]
    if not sizes:
        powers = _POWERS.search(name)
        if powers is None:
            return None
        m, n = (2 ** int(part) for part in powers.groups() if part)
        return m, n, 8
    m, n, k = sizes
    return (n, m, k) if _TRANSPOSED.search(name) else (m, n, k)


_TIMINGS = """
    SELECT timings.key, chains.digest, timings.dtype, implementations.name, timings.median_us FROM timings
    JOIN chains ON chains.key = timings.chains_key
    JOIN implementations ON implementations.key = timings.implementations_key
    WHERE timings.status = 'ok' AND timings.l2 = 'warm' AND timings.median_us IS NOT NULL
      AND chains.kind IN ('convolution', 'matmul') AND json_array_length(chains.layers) = 1
"""
_LAUNCHES = """
    SELECT launches.timings_key, kernels.name, kernels.shape, grid_x * grid_y * grid_z, grid_z FROM launches
    JOIN kernels ON kernels.key = launches.kernels_key ORDER BY launches.timings_key, launches.position
"""


def extract(database: str) -> list[Kernel]:
    """The fastest of every kernel of every layer."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        launches: dict[int, list[Launch]] = {}
        for timing, *launch in connection.execute(_LAUNCHES):
            launches.setdefault(timing, []).append(tuple(launch))
        best: dict[tuple[object, ...], Kernel] = {}
        for timing, digest, dtype, name, time_us in connection.execute(_TIMINGS):
            kernel = kernel_of(digest, dtype, name, launches.get(timing, []), time_us)
            if kernel is not None and (kernel.key not in best or time_us < best[kernel.key].time_us):
                best[kernel.key] = kernel
    return list(best.values())


def fastest_of(rows: Iterable[Kernel]) -> list[Kernel]:
    """Of every kernel the shortest time, in the order of the layers' digests, without those far behind."""
    best: dict[tuple[object, ...], Kernel] = {}
    for kernel in rows:
        if kernel.key not in best or kernel.time_us < best[kernel.key].time_us:
            best[kernel.key] = kernel
    fastest: dict[tuple[str, str], float] = {}
    for kernel in best.values():
        key = (kernel.digest, kernel.dtype)
        fastest[key] = min(kernel.time_us, fastest.get(key, kernel.time_us))
    kept = [k for k in best.values() if k.time_us <= FURTHEST * fastest[k.digest, k.dtype]]
    return sorted(kept, key=lambda kernel: tuple(map(str, kernel.key)))


def write(kernels: list[Kernel]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Kernel)])
    writer.writerows(astuple(kernel) for kernel in kernels)
    TABLE.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


@cache
def kernels() -> tuple[Kernel, ...]:
    """The table."""
    return tuple(_read())


def _read() -> Iterator[Kernel]:
    with gzip.open(TABLE, "rt", newline="") as file:
        for row in csv.DictReader(file):
            yield Kernel(**{field.name: _TYPES[str(field.type)](row[field.name]) for field in fields(Kernel)})


_TYPES = {"str": str, "int": int, "float": float}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write(fastest_of([*(_read() if TABLE.exists() else ()), *extract(sys.argv[1])]))
