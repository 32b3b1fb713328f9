"""``docs/side-by-side.md``, from benchmarks/results/side_by_side.json and hta.json."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headroom import figures
from side_by_side_eye import LOSSES

#: Losses without a change to make that are quoted with what Headroom says of them.
_QUOTED = 6

#: The run whose three answers are shown in full.
_SHOWN = "resnet50-1-default"

_PAGE = """# Beside PyTorch's profiler and HTA

<!-- Written by benchmarks/side_by_side.py; do not edit. -->

A person with a slow model opens PyTorch's profiler, sorts its table by GPU time, or loads the trace into
[Holistic Trace Analysis](https://github.com/facebookresearch/HolisticTraceAnalysis) (HTA {hta}). Here is what both show
of {runs} recorded runs of {networks} networks on an H200, and what one command says of the same traces:

```bash
headroom analyze examples/resnet50.onnx --profile trace.json.gz
```

Of every run the five most expensive losses were taken that someone who knows the libraries' kernels can read off the
two tools (fewer where no other takes a hundredth of the GPU's time), and held against Headroom's answer. The profiler's
table was made again from the traces, as the profiler makes it: a kernel's time goes to the operator that launched it.
HTA ran on copies with numbered steps and a rank, which it asks for, and without its rounding to whole microseconds.

| of {losses} losses | |
|---|---:|
| PyTorch's profiler shows under their name | {pytorch} |
| HTA shows under their name | {by_hta} |
| Headroom has a finding for, with a saving and the change to make | {found} ({found_share}) |
| Headroom gives figures of, but advises no change | {answered} ({answered_share}) |
| Headroom says nothing of | {silent} ({silent_share}) |

One finding often answers several losses: those found are {distinct} findings. Which finding counts for which loss is
fixed in `benchmarks/side_by_side_eye.py`. *Found* does not mean *right*: whether advice comes true is another question,
and [advice.md](advice.md) says how sure the figures are.

## Loss by loss

{by_loss}

*Shown*: the figure stands there under that name. *Inferred*: figures stand there, and whoever knows what the kernels'
names mean adds them up. *Spent* is the median of what the two tools show in the runs where the loss is among the five.
It is not what can be saved, which neither tool says; and losses overlap, since short kernels are why the GPU waits.

{idle}

## One run in full: `{shown}`

What PyTorch's table says, per inference (self time on the GPU):

{operators}

What HTA says, per inference:

{hta_figures}

What Headroom says: the run takes {latency} without the recorder, its fused lower bound is {fused}, and

{findings}

## Run by run

What the two tools show of a loss, then what Headroom's finding about it would save; a dash where it advises no change.

{by_run}

{silence}

The most expensive losses for which it advises no change, and what it says instead:

{unadvised}

## What Headroom says and neither shows

- **A bound**: how fast the model could be, and so when to stop.
- **What a change would save**, with an error bar, next to what is spent; changes that share a saving are not added up.
- **Whose kernel it is**: layers and modules of your model, in a replayed CUDA graph too, where operators are unknown.
- **Whether another kernel is faster**: neither tool can know, as it sees only the kernel that ran.
- **The change**: the setting or code, and what it cannot do.

Findings that no loss of their run points to:

{beyond}

## What the others show and Headroom does not

- **The timeline.** PyTorch's traces open in Perfetto; every event of every thread and stream can be looked at.
  Headroom reads the same trace and shows no browser for it.
- **Memory.** The profiler records allocations over time and who made them. Headroom counts a model's bytes but reads
  no allocation from a profile.
- **More than one GPU.** HTA's reason to be: communication against computation over ranks, stragglers, traces of
  hundreds of GPUs. Headroom looks at one GPU.
- **Training, and code that is not a model.** Both take any trace. Headroom needs the model's graph and inference, and
  refuses a trace that does not belong to it.
- **Source lines and Python stacks** of each operator, where recorded.
- **The queue over time**, and **two traces compared**: HTA draws the one and lists the kernels that the other added.
- **Every number as it was recorded.** Headroom's savings are predictions of measured and modelled layers; where they
  and the trace disagree, the trace is what happened.
"""


def page(results: Mapping[str, Any], recorded: Mapping[str, Any]) -> str:
    runs = results["runs"]
    losses = [(run, loss) for run in runs for loss in run["losses"]]
    found = sum(loss["finding"] is not None for _, loss in losses)
    answered = sum(_state(loss) == "answered" for _, loss in losses)
    shown = next(run for run in runs if run["profile"] == _SHOWN)
    silent = len(losses) - found - answered
    return _PAGE.format(
        hta=recorded["about"]["hta"],
        runs=len(runs),
        networks=len({run["profile"].rsplit("-", 2)[0] for run in runs}),
        losses=len(losses),
        pytorch=sum(LOSSES[loss["key"]].pytorch == "shown" for _, loss in losses),
        by_hta=sum(LOSSES[loss["key"]].hta == "shown" for _, loss in losses),
        found=found,
        distinct=len({(run["profile"], loss["finding"]) for run, loss in losses if loss["finding"] is not None}),
        answered=answered,
        silent=silent,
        found_share=figures.percent(found / len(losses)),
        answered_share=figures.percent(answered / len(losses)),
        silent_share=figures.percent(silent / len(losses)),
        by_loss="\n".join(_by_loss([loss for _, loss in losses])),
        idle=_idle(runs, recorded["runs"]),
        shown=_SHOWN,
        operators="\n".join(_operators(shown)),
        hta_figures="\n".join(_hta(recorded["runs"][_SHOWN])),
        latency=figures.time_with_error(shown["latency_us"], shown["latency_error_pct"]),
        fused=figures.time_with_error(shown["fused_us"], shown["fused_error_pct"]),
        findings="\n".join(_findings(shown["findings"])),
        by_run="\n".join(_by_run(runs)),
        silence=_silence(losses),
        unadvised="\n".join(_unadvised(losses)),
        beyond="\n".join(_beyond(runs)),
    )


def _state(loss: Mapping[str, Any]) -> str:
    if loss["finding"] is not None:
        return "found"
    return "answered" if loss["answer"] else "silent"


def _by_loss(losses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| loss | runs | spent | PyTorch's profiler | HTA | Headroom: found | figures only | nothing |"
    yield "|---|---:|---:|---|---|---:|---:|---:|"
    for key, about in LOSSES.items():
        mine = [loss for loss in losses if loss["key"] == key]
        if mine:
            spent = figures.time(statistics.median(loss["spent_us"] for loss in mine))
            counts = (sum(_state(loss) == state for loss in mine) for state in ("found", "answered", "silent"))
            cells = (about.title, len(mine), spent, about.pytorch, about.hta, *counts)
            yield "| " + " | ".join(map(str, cells)) + " |"


def _idle(runs: Sequence[Mapping[str, Any]], hta: Mapping[str, Any]) -> str:
    """Recording makes the host slower: how often the waiting that HTA sees is longer than the run without it."""
    idle_us = {name: one["idle_us"] / one["steps"] for name, one in hta.items()}
    longer = sum(idle_us[run["profile"]] > run["latency_us"] for run in runs)
    return (
        "Both tools show the run as it was recorded, and recording slows the host: the time that HTA calls idle is\n"
        f"longer than Headroom's estimate of the whole inference without the recorder in {longer} of {len(runs)} runs."
    )


def _operators(run: Mapping[str, Any]) -> Iterator[str]:
    yield "| operator | self GPU time | share | kernels and fills |"
    yield "|---|---:|---:|---:|"
    for name, time_us, launches in run["operators"]:
        share = figures.percent(time_us / run["busy_us"])
        yield f"| `{name or 'no operator'}` | {figures.time(time_us)} | {share} | {launches:g} |"


def _hta(run: Mapping[str, Any]) -> Iterator[str]:
    steps = run["steps"]
    yield "| figure | |"
    yield "|---|---:|"
    for title, key in (("idle", "idle_us"), ("computing", "compute_us")):
        yield f"| temporal breakdown: {title} | {figures.time(run[key] / steps)} |"
    for cause, time_us in run["idle_by_cause_us"].items():
        yield f"| idle time: {cause.replace('_', ' ')} | {figures.time(time_us / steps)} |"
    for name, time_us in run["kernels"]:
        yield f"| kernel breakdown: `{name}` | {figures.time(time_us / steps)} |"
    yield f"| kernel launches: all | {run['launches'] / steps:g} |"
    yield f"| kernel launches: shorter on the GPU than on the host | {run['short_launches'] / steps:g} |"
    yield f"| queue length: mean | {figures.significant(run['queue_mean'], 2)} |"
    yield f"| queue length: most | {run['queue_most']:g} |"


def _findings(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| finding | saves | layers named |"
    yield "|---|---:|---:|"
    for one in findings:
        yield f"| {one['title']} | {figures.time_with_error(one['saves_us'], one['error_pct'])} | {one['layers']} |"


def _by_run(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    heads = [key for key in LOSSES if any(loss["key"] == key for run in runs for loss in run["losses"])]
    yield "| run | takes | fused bound | " + " | ".join(heads) + " |"
    yield "|---|---:|---:|" + "---|" * len(heads)
    for run in runs:
        cells = {loss["key"]: _cell(loss, run["findings"]) for loss in run["losses"]}
        takes = figures.time(run["latency_us"], run["latency_error_pct"])
        bound = figures.time(run["fused_us"], run["fused_error_pct"])
        yield (
            f"| {run['profile']} | {takes} | {bound} in {run['dtype']} | "
            + " | ".join(cells.get(key, "") for key in heads)
            + " |"
        )
    yield ""
    yield "The columns: " + "; ".join(f"*{key}*, {LOSSES[key].title}" for key in heads) + "."


def _cell(loss: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    spent = figures.time(loss["spent_us"])
    if loss["finding"] is None:
        return f"{spent}, –" if loss["answer"] else f"{spent}, nothing"
    one = findings[loss["finding"]]
    return f"{spent}, **{figures.time(one['saves_us'], one['error_pct'])}**"


def _silence(losses: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str:
    missed: dict[str, list[str]] = {}
    for run, loss in losses:
        if _state(loss) == "silent":
            where = f"`{run['profile']}` ({figures.time(loss['spent_us'])})"
            missed.setdefault(LOSSES[loss["key"]].title, []).append(where)
    if not missed:
        return "There is no loss that Headroom says nothing of."
    return "\n".join(f"Headroom says nothing of {title} in {', '.join(runs)}." for title, runs in missed.items())


def _unadvised(losses: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Iterator[str]:
    yield "| loss | run | spent | Headroom says |"
    yield "|---|---|---:|---|"
    without = [(run, loss) for run, loss in losses if _state(loss) == "answered"]
    for run, loss in sorted(without, key=lambda pair: -pair[1]["spent_us"])[:_QUOTED]:
        said = loss["answer"].replace("|", "/")
        yield f"| {LOSSES[loss['key']].title} | {run['profile']} | {figures.time(loss['spent_us'])} | {said} |"


def _beyond(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Findings that no loss of their run points to."""
    yield "| finding | runs | for example | saves |"
    yield "|---|---:|---|---:|"
    beyond: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for run in runs:
        used = {kind for loss in run["losses"] if loss["finding"] is not None for kind in LOSSES[loss["key"]].findings}
        for one in run["findings"]:
            if one["kind"] not in used:
                beyond.setdefault(one["kind"], []).append((run["profile"], one))
    for kind, all_of_it in sorted(beyond.items(), key=lambda pair: -len(pair[1])):
        profile, best = max(all_of_it, key=lambda pair: pair[1]["saves_us"])
        saves = figures.time_with_error(best["saves_us"], best["error_pct"])
        count = len({profile for profile, _ in all_of_it})
        yield f"| {kind.replace('_', ' ')} | {count} | `{profile}`: {best['title']} | {saves} |"
