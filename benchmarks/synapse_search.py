"""What the synapse search costs, by the number of synapse vectors K, up to VGG16's largest layer.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/synapse_search.py

Writes ``benchmarks/results/synapse_search.json`` and ``docs/synapse-search.md``. It needs no GPU and takes about two
minutes of one core. Every row is a process of its own, so that its peak memory is its own. Times are those of the
processor, which other programs on the machine change little.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from headroom.change.synapses.adjacency import adjacency
from headroom.change.synapses.correlation import VectorCorrelation
from headroom.change.synapses.search import represent
from record import ROOT, write_result

#: What each row is, M and K. The first five grow K alone.
LAYERS = (
    ("K / 16", 4096, 1568),
    ("K / 8", 4096, 3136),
    ("K / 4", 4096, 6272),
    ("K / 2", 4096, 12544),
    ("VGG16's first linear layer", 4096, 25088),
    ("AlexNet's first linear layer", 4096, 9216),
    ("VGG16's last convolutions, im2col columns", 512, 4608),
    ("VGG16's last convolutions, input channels", 512 * 9, 512),
    ("LeNet-5's second convolution, im2col columns", 50, 500),
)
GROWTH = LAYERS[:5]
ALPHA, PER_CLUSTER, SEED = 0.5, 8, 20261121
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> None:
    rows = []
    for name, outputs, vectors in LAYERS:
        command = [sys.executable, __file__, str(outputs), str(vectors)]
        done = subprocess.run(command, env=os.environ | _ONE_THREAD, capture_output=True, text=True, check=True)
        found = dict(zip(COLUMNS, map(float, done.stdout.split()), strict=True))
        rows.append({"layer": name, "m": outputs, "k": vectors, **found})
        print(rows[-1], flush=True)
    write_result("synapse_search", {"alpha": ALPHA, "per_cluster": PER_CLUSTER, "seed": SEED, "rows": rows})
    (ROOT / "docs" / "synapse-search.md").write_text(page(rows), "utf-8")


COLUMNS = ("standardise_s", "correlate_s", "choose_s", "retained", "weights_mb", "before_mb", "peak_mb")


def measured(outputs: int, vectors: int) -> tuple[float, ...]:
    """One search, timed step by step; the values of ``COLUMNS``."""
    weights = clustered(outputs, vectors)
    before_mb = peak_mb()
    times = [time.process_time()]
    correlation = VectorCorrelation(weights)
    times.append(time.process_time())
    (bits,) = adjacency(correlation, [ALPHA])
    times.append(time.process_time())
    representative = represent(bits, vectors)
    times.append(time.process_time())
    retained = int((representative == np.arange(vectors)).sum())
    return (*np.diff(times), retained, weights.nbytes / 1e6, before_mb, peak_mb())


def clustered(outputs: int, vectors: int) -> np.ndarray:
    """Weights of which eight at a time have a centre in common."""
    random = np.random.default_rng(SEED)
    weights = random.standard_normal((outputs, vectors), dtype=np.float32)
    for start in range(0, vectors, PER_CLUSTER):
        weights[:, start : start + PER_CLUSTER] += 2 * random.standard_normal((outputs, 1), dtype=np.float32)
    return weights


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def page(rows: list[dict[str, Any]]) -> str:
    largest = rows[len(GROWTH) - 1]
    growth = exponent(rows[len(GROWTH) - 2], largest)
    lines = [
        "# What the synapse search costs",
        "",
        "Written by `benchmarks/synapse_search.py`; what is searched stands in [synapses.md](synapses.md).",
        "",
        f"**VGG16's largest layer, {largest['k']} synapse vectors of {largest['m']} outputs, takes"
        f" {total(largest):.0f} s of one core** and {largest['peak_mb'] - largest['before_mb']:.0f} MB besides the",
        f"{largest['weights_mb']:.0f} MB of its weights: a float32 copy of them, {largest['k'] ** 2 / 8e6:.0f} MB of",
        "bits that say who represents whom, and what one block takes. All correlations at once would be",
        f"{4 * largest['k'] ** 2 / 1e6:.0f} MB. From half that K to all of it the time grows as K^{growth:.1f}:"
        " correlating is a product of K x M by",
        "M x K, half of which is computed; choosing reads each row of bits once. Further thresholds cost bits and",
        "choosing alone.",
        "",
        "Seconds of one core, random weights around common centres, threshold"
        f" {ALPHA:g}; memory is the peak of a process of its own:",
        "",
        "| layer | M | K | standardise | correlate | choose | together | stay | weights, MB | besides, MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        steps = " | ".join(f"{row[column]:.2g}" if row[column] < 10 else f"{row[column]:.0f}" for column in COLUMNS[:3])
        together = f"{total(row):.2g}" if total(row) < 10 else f"{total(row):.0f}"
        memory = f"{row['weights_mb']:.3g} | {row['peak_mb'] - row['before_mb']:.0f}"
        lines.append(
            f"| {row['layer']} | {row['m']} | {row['k']} | {steps} | {together} | {row['retained']:.0f} | {memory} |"
        )
    return "\n".join(lines) + "\n"


def total(row: dict[str, Any]) -> float:
    return sum(row[column] for column in COLUMNS[:3])


def exponent(smaller: dict[str, Any], larger: dict[str, Any]) -> float:
    return math.log(total(larger) / total(smaller)) / math.log(larger["k"] / smaller["k"])


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(*measured(int(sys.argv[1]), int(sys.argv[2])))
    else:
        main()
