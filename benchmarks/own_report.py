"""What a GPU's own calibration gains from N measured rows: writes ``docs/calibration.md``.

    python benchmarks/own_report.py

Hopper's constants are hidden, as if nobody had measured such a GPU, and fitted to N rows of the shipped H200 database.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from h200_shipped import timed_layers
from headroom.files import write_whole
from headroom.gpu.sheets import load_gpu
from headroom.predict.calibration import Calibration, load_calibration
from headroom.predict.own.fit import PRIOR_SIGMA, ROW_SIGMA, MeasuredLayer, fit_terms, group_of, predicted_us
from headroom.predict.own.terms import GROUPS, with_terms
from record import ROOT, write_result

GPU = load_gpu("h200")
COUNTS, SEEDS = (10, 30, 100, 300, 1000), (1, 2, 3)

INTRODUCTION = f"""# Constants of your own GPU

<!-- Written by benchmarks/own_report.py; the figures are in benchmarks/results/own_calibration.json. -->

Three things are known of a GPU, each narrower than the one before:

- **A sheet alone.** Predictions are made with the constants of its architecture, or of the nearest one that was
  measured. The error bar is that of the architecture's held-out rows, or the nearest one's, doubled; where a layer is
  limited by a bandwidth that a rule derived instead of a measurement, the rule's own error comes on top.
- **A sheet that `headroom gpus probe` wrote.** The same constants on the GPU's own bandwidths, latencies, rates and
  launch; no figure of the hierarchy is derived any more, so nothing comes on top.
- **Measured layers.** Constants of the GPU's own, fitted to them by `headroom calibrate`; the error bar is that of rows
  that the fit had not seen.

```
headroom gpus probe --out my-gpu.toml
headroom measure model.onnx
headroom calibrate --gpu my-gpu.toml
headroom analyze other.onnx --gpu my-gpu.toml
```

`headroom calibrate` takes every single layer that the database has of the GPU (at most 250 of each group of kernels),
and keeps its result in the user's data folder, in `calibrations/`. Every later prediction for this very sheet uses
it, and says so: in the notes of the terminal and of the report, and under `calibration` in JSON. It no longer counts
when the sheet or the package's own constants change, which the same places then say; `--forget` deletes it.

## What is fitted

Not the constants one by one, which a few rows could not tell apart, but five factors per group of kernels: on the
launch, on waiting (latencies), on arithmetic, on L2's and on DRAM's bandwidth. A group is products or convolutions on
tensor cores or on plain units, kernels that stream their bytes, or fused attention; a sort of convolution with five
rows (pointwise, stem, unaligned, ...) has factors of its own, which start from its group's. The factors are those
with the least sum of two costs:

- how far off each row is, in logarithms and units of {ROW_SIGMA:g}; large errors count in proportion and not squared,
  so a disturbed row moves little;
- how far the factors are from 1 (for a sort, from its group's), in units of {PRIOR_SIGMA:g}: the prior, which ten
  rows move a little and a hundred outweigh.

Rows are dealt to five parts, and each is judged by factors fitted to the other four. A group that is brought no
nearer keeps the shared constants. The same rows give the error bars, of each kind of kernel that has ten of them.

## What N rows are worth

The H200's layers that come with the package, with all that is known of Hopper hidden: *0 rows* is what the shared
constants of other architectures say. N rows are drawn at random from one half of the layers (in bf16, tf32 and fp32,
L2 warm); the geometric mean error of the other half is shown in percent, the median of three draws. *Shipped* are
Hopper's own constants, fitted to the whole half with all their freedom."""


def hidden(known: Calibration) -> Calibration:
    own = {name: sets for name, sets in known.own_gemm.items() if not name.startswith("hopper")}
    return replace(known, own_gemm=own, own_stream={})


def main() -> None:
    known = load_calibration()
    rows = [row for row in timed_layers() if row.l2 == "warm"]
    sides: dict[bool, list[MeasuredLayer]] = {False: [], True: []}
    for row in rows:
        sides[row.held_out].append(MeasuredLayer(row.layer, row.dtype, row.l2, row.measured_us))
    blind = hidden(known)
    held = {g: [r for r in sides[True] if group_of(r.layer, GPU, r.dtype) == g] for g in GROUPS}
    result = {"groups": {}, "shipped": errors(held, known), "0": errors(held, blind)}
    result["groups"] = {group: len(members) for group, members in held.items()}
    for count in COUNTS:
        draws = []
        for seed in SEEDS:
            drawn = random.Random(seed).sample(sides[False], count)
            draws.append(errors(held, with_terms(blind, GPU, fit_terms(drawn, GPU, blind))))
        result[str(count)] = {group: float(np.median([draw[group] for draw in draws])) for group in GROUPS}
        print(count, result[str(count)])
    write_result("own_calibration", result)
    write_whole(ROOT / "docs" / "calibration.md", page(result))


def errors(held: dict[str, list[MeasuredLayer]], calibration: Calibration) -> dict[str, float]:
    """Geometric mean error of each group, in percent."""
    found = {}
    for group, rows in held.items():
        off = np.log(predicted_us(rows, GPU, calibration) / np.array([row.time_us for row in rows]))
        found[group] = round(float(100 * (np.exp(np.abs(off).mean()) - 1)), 1)
    return found


def page(result: dict[str, Any]) -> str:
    return INTRODUCTION + "\n" + "\n".join(_table(result)) + "\n"


def _table(result: dict[str, Any]) -> Iterator[str]:
    columns = ["0", *map(str, COUNTS), "shipped"]
    titles = [f"{column} rows" for column in columns[:-1]]
    yield "| " + " | ".join(["kernels", "held-out layers", *titles, "shipped"]) + " |"
    yield "|" + "---|" * (len(columns) + 2)
    for group, count in result["groups"].items():
        cells = [group, str(count), *(f"{result[column][group]:.1f}" for column in columns)]
        yield "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
