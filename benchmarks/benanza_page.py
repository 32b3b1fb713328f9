"""The page behind ``benanza_totals.py``: every published total beside ours."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from headroom.files import write_whole
from record import ROOT

WORST = 10

PAGE = """# Benanza's totals, from its own data

<!-- Written by benchmarks/benanza_totals.py; do not edit. -->

[Benanza](https://github.com/rai-project/dlperf) timed the cuDNN and cuBLAS calls behind every layer of 30 ONNX models
and published, per model, GPU and batch, four lower bounds: *serial* and *parallel*, each with the *best* algorithm of
every convolution and with the one that cuDNN's heuristic *advised*. `headroom db import benanza` takes its tables in
(`kernels` and `kernel_times`; `conv_algos` where given; the others are recognised and left alone), and
`benchmarks/benanza_totals.py` computes all {totals} totals again from the {rows} rows that the database then has.

```console
$ headroom db import benanza tables/
$ headroom analyze resnet50.onnx --gpu v100-sxm2-16gb --dtype fp32
```

## What the totals are

- **Serial** is our sequential bound: the sum of the fastest call of every layer, of convolution and bias apart. A
  Dropout counts (twice where it writes its mask); layers that Benanza does not time (concat, LRN, transpose, global
  pooling) count nothing.
- **Parallel** is the longest path from the *first* timed layer to the *last* timed layer in Benanza's order, *without
  the last layer's own time*. Ours is the longest path there is, with the last layer.
- **Advised** has each convolution at the algorithm that cuDNN's heuristic named, *best* at the fastest.

The layer that the parallel total leaves out is most often the softmax or the last pooling: a few microseconds, which
is why a plain critical path is off by a fraction of a percent nearly everywhere and meets 0.1 % in a sixth of the rows.
*Best* is over all modes of a call, also over those that compute something else: a max pooling may stand at the time of
an average pooling, a ReLU at that of a clipped one. Rows keep the name of what ran, and a pooling counts as what its
mode computes, so `analyze` never takes an average for a maximum.

## Serial and parallel, best algorithms

Errors of ours against the published totals: {complete} totals of models whose convolutions are all published, then the
{incomplete} others. A model lacks a convolution where the time of its bias is missing: Benanza's serial total has the
convolution in, its published layers and its parallel total have not.

{best}

{other}Elsewhere the largest error of a parallel total is {rest_worst:.4%}.

The {worst_count} worst:

{worst}

## Serial and parallel, advised algorithms

Of each call the tables hold the fastest algorithm alone, and which one was advised; all algorithms are there for the
convolutions of ResNet-50 and MobileNet-v2 only, out of another run. So an advised total can be made

* from the database where every advised algorithm is the fastest ({same} of {advised} totals of complete models);
* from the totals of the *other* models ({others}): models share convolutions, and each total is one equation for what
  the advised algorithms take on top. A model's own total is never among its equations;
* from the algorithms of another run ({another});
* not at all otherwise ({untold}): the only figure that speaks of those times is the total itself.

The parallel totals are computed from the times that all *serial* totals together make likeliest (non-negative least
squares); no parallel total is used. Where the equations leave open which of two convolutions is the slow one, one of
them off the path, they err: these are the worst rows.

{advised_table}

{advised_worst}

## What the rows answer

ONNX's `light_` models in fp32, read as every user's model is, with the imported database: share of the layers and of
the sequential time that is measured.

{models}

What is missing: concatenations, LRN, transposes and global pooling, which Benanza does not time; multiplications and
additions with one value per channel, which it times on whole tensors; layers whose shapes its own shape inference got
wrong (asymmetric padding, a batch lost behind a reshape).

Times are the mean of many launches with a warm L2 cache, and come without a spread: answers made of them have an error
bar of 10 %. Those of fewer than 10 launches are kept as `unstable`, and no bound is made of them. The system has no
driver version, because the tables tell none, and so never mixes with one that Headroom measured.
"""


OTHER_RUN = """{count} parallel totals ({where}) come from another run and an earlier version of Benanza: the layers
published beside them add up to something else than those beside the serial total (by up to {differ:.2%}), and the last
layer's own time is in, for the totals of models without branches are the sums of those layers. So {exceeding} of them
exceed the serial total. Ours, of the times that were published, has the last layer in there too, and is {median:.2%}
off in the median, {worst:.2%} at worst: as far as the two runs differ.

"""


def write_page(totals: list[dict[str, Any]], rows: int, models: list[dict[str, Any]]) -> None:
    """Write ``docs/benanza.md``: of the totals, of how many rows were imported, of what they say of models."""
    write_whole(ROOT / "docs" / "benanza.md", page(totals, rows, models))


def page(totals: list[dict[str, Any]], rows: int, models: list[dict[str, Any]]) -> str:
    best = [row for row in totals if row["choice"] == "best_measured"]
    advised = [row for row in totals if row["choice"] == "cudnn_advised" and row["complete"]]
    other = [row for row in best if row["strategy"] == "parallel" and row["another_run"]]
    rest = [row for row in best if row["strategy"] == "parallel" and not row["another_run"]]
    serial = {_run(row): row["published_us"] for row in best if row["strategy"] == "serial"}
    counted = [row["how"] for row in advised if row["strategy"] == "serial"]
    worst = _worst([row for row in best if row["complete"]])
    return PAGE.format(
        totals=len(totals),
        rows=f"{rows:,}",
        complete=sum(row["complete"] for row in best),
        incomplete=sum(not row["complete"] for row in best),
        best=_best_table(best),
        other=_other_run(other, serial) if other else "",
        rest_worst=max(_errors(rest), default=0.0),
        worst_count=len(worst),
        worst=_worst_table(worst),
        advised=len(counted),
        same=counted.count("the database"),
        others=counted.count("other models' totals"),
        another=counted.count("another run's algorithms"),
        untold=counted.count("not told"),
        advised_table=_advised_table(advised),
        advised_worst=_worst_table(_worst(advised)),
        models=_models_table(models),
    )


def _other_run(rows: list[dict[str, Any]], serial: dict[tuple[str, str, int], float]) -> str:
    where = ", ".join(sorted({f"{row['gpu']} at batch {row['batch']}" for row in rows}))
    errors = _errors(rows)
    return OTHER_RUN.format(
        count=len(rows),
        where=where,
        differ=max(row["rows_differ"] for row in rows),
        exceeding=sum(row["published_us"] > serial[_run(row)] for row in rows),
        median=_median(errors),
        worst=max(errors),
    )


def _run(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["model"], row["gpu"], row["batch"]


def _error(row: dict[str, Any], ours: str = "ours_us") -> float:
    return abs(row[ours] / row["published_us"] - 1)


def _errors(rows: Iterable[dict[str, Any]], ours: str = "ours_us") -> list[float]:
    return [_error(row, ours) for row in rows if row[ours] is not None]


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _within(errors: Sequence[float]) -> str:
    """``0.00 %, 0.31 %``: median and worst."""
    return f"{_median(errors):.4%}, {max(errors):.3%}" if errors else "–"


def _groups(rows: list[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["gpu"], row["batch"])):
        found.setdefault((row["gpu"], row["batch"]), []).append(row)
    return found


def _best_table(rows: list[dict[str, Any]]) -> str:
    """Errors per GPU and batch as median and worst; the last columns are of the models that lack a convolution."""
    lines = []
    for (gpu, batch), group in _groups(rows).items():
        cells = [gpu, str(batch)]
        for complete in (True, False):
            for strategy in ("serial", "parallel"):
                chosen = [row for row in group if row["strategy"] == strategy and row["complete"] == complete]
                cells.append(_within(_errors(chosen)))
                if complete and strategy == "parallel":
                    cells.append(_within(_errors(chosen, "plain_us")))
        lines.append(cells)
    header = (
        "GPU", "batch", "serial", "parallel", "our critical path", "serial, incomplete", "parallel, incomplete",
    )  # fmt: skip
    return "Each cell: median error, worst error.\n\n" + _table(header, lines)


def _advised_table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for (gpu, batch), group in _groups(rows).items():
        serial = [row for row in group if row["strategy"] == "serial"]
        parallel = [row for row in group if row["strategy"] == "parallel"]
        told = _errors(serial)
        lines.append([gpu, str(batch), f"{len(told)} of {len(serial)}", _within(told), _within(_errors(parallel))])
    header = ("GPU", "batch", "serial totals told", "serial", "parallel")
    return "Each of the last two cells: median error, worst error.\n\n" + _table(header, lines)


def _worst(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((row for row in rows if row["ours_us"] is not None), key=_error, reverse=True)[:WORST]


def _worst_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        [
            row["model"], row["gpu"], str(row["batch"]), row["strategy"], f"{row['published_us']:,.1f}",
            f"{row['ours_us']:,.1f}", f"{row['ours_us'] / row['published_us'] - 1:+.2%}", _reason(row),
        ]
        for row in rows
    ]  # fmt: skip
    return _table(("model", "GPU", "batch", "total", "published µs", "ours µs", "error", "why"), lines)


def _reason(row: dict[str, Any]) -> str:
    if row["another_run"]:
        return f"another run, whose layers add up to {row['rows_differ']:.2%} more or less"
    if row["how"] == "another run's algorithms":
        return "the advised algorithms' times are another run's"
    if row["how"] == "all serial totals":
        return "which convolution the advised algorithm slows is not told by the serial totals"
    return "rounding of the published total"


def _models_table(models: list[dict[str, Any]]) -> str:
    gpus = sorted({row["gpu"] for row in models if "gpu" in row})
    found: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    refused = []
    for row in models:
        if "refusal" in row:
            refused.append(f"`{row['model']}` takes no batch of {row['batch']}.")
        else:
            found.setdefault((row["model"], row["batch"]), {})[row["gpu"]] = row
    lines = [
        [
            model, str(batch), str(next(iter(rows.values()))["layers"]),
            *(f"{rows[g]['measured_layers']}, {rows[g]['measured_time_share']:.1%}" for g in gpus),
        ]
        for (model, batch), rows in found.items()
    ]  # fmt: skip
    table = _table(("model", "batch", "working layers", *(f"measured on {gpu}" for gpu in gpus)), lines)
    return "\n\n".join([table, *(["\n".join(refused)] if refused else [])])


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
