"""The page behind ``benanza_totals.py``: every published total beside ours."""

from __future__ import annotations

from typing import Any

from benanza_rows import (
    advised_table,
    best_table,
    errors_of,
    headline,
    median,
    models_table,
    percent,
    run_of,
    summarise,
    worst_of,
    worst_table,
)
from headroom.files import write_whole
from record import ROOT

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

{headline}

*Met* is within 0.1 %. *Told* are the totals that can be made without a look at themselves; the sections below say why
not all can.

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

{other}Elsewhere the largest error of a parallel total is {rest_worst}.

The {worst_count} worst:

{worst}

## Serial and parallel, advised algorithms

Of each call the tables hold the fastest algorithm alone, and which one was advised; all algorithms are there for the
convolutions of ResNet-50 and MobileNet-v2 only, out of another run. So an advised total can be made

* from the database where every advised algorithm is the fastest ({same} of {advised} totals of complete models);
* from the totals of the *other* models ({others}): models share convolutions, and each total is one equation for what
  the advised algorithms take on top. A model's own total is never among its equations;
* from the model's own advised *parallel* total, where all convolutions in question are on its path ({own}): the two
  published figures then check each other;
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


OTHER_RUN = """{count} parallel totals ({where}) come from another run, and evidently an earlier version of Benanza: the
layers published beside them add up to something else than those beside the serial total (by up to {differ}), and the
last layer's own time is in, for the totals of models without branches are the sums of those layers. So {exceeding} of
them exceed the serial total. Ours, of the times that were published, has the last layer in there too, and is {median}
off in the median, {worst} at worst: as far as the two runs differ.

"""


def write_page(totals: list[dict[str, Any]], rows: int, models: list[dict[str, Any]]) -> None:
    """Write ``docs/benanza.md``: of the totals, of how many rows were imported, of what they say of models."""
    write_whole(ROOT / "docs" / "benanza.md", page(totals, rows, models))


def page(totals: list[dict[str, Any]], rows: int, models: list[dict[str, Any]]) -> str:
    best = [row for row in totals if row["choice"] == "best_measured"]
    advised = [row for row in totals if row["choice"] == "cudnn_advised" and row["complete"]]
    other = [row for row in best if row["strategy"] == "parallel" and row["another_run"]]
    rest = [row for row in best if row["strategy"] == "parallel" and not row["another_run"]]
    serial = {run_of(row): row["published_us"] for row in best if row["strategy"] == "serial"}
    counted = [row["how"] for row in advised if row["strategy"] == "serial"]
    worst = worst_of([row for row in best if row["complete"]])
    return PAGE.format(
        totals=len(totals),
        rows=f"{rows:,}",
        headline=headline(summarise(totals)),
        complete=sum(row["complete"] for row in best),
        incomplete=sum(not row["complete"] for row in best),
        best=best_table(best),
        other=_other_run(other, serial) if other else "",
        rest_worst=f"{100 * max(errors_of(rest), default=0.0):.4f} %",
        worst_count=len(worst),
        worst=worst_table(worst),
        advised=len(counted),
        same=counted.count("the database"),
        others=counted.count("other models' totals"),
        own=counted.count("its own parallel total"),
        another=counted.count("another run's algorithms"),
        untold=counted.count("not told"),
        advised_table=advised_table(advised),
        advised_worst=worst_table(worst_of(advised)),
        models=models_table(models),
    )


def _other_run(rows: list[dict[str, Any]], serial: dict[tuple[str, str, int], float]) -> str:
    where = ", ".join(sorted({f"{row['gpu']} at batch {row['batch']}" for row in rows}))
    errors = errors_of(rows)
    return OTHER_RUN.format(
        count=len(rows),
        where=where,
        differ=percent(max(row["rows_differ"] for row in rows)),
        exceeding=sum(row["published_us"] > serial[run_of(row)] for row in rows),
        median=percent(median(errors)),
        worst=percent(max(errors)),
    )
