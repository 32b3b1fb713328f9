"""Question 2: are independent layers run in parallel, and would it help?

What the critical path would save is a promise that only an endless GPU keeps: the gain that is named is what the
layers' shares of SMs and bandwidth leave (Benanza, question 2; see :mod:`headroom.advise.branches`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.as_ran import as_ran
from headroom.advise.branches import Region, parallel_regions, share_of_gpu
from headroom.advise.case import Case
from headroom.advise.findings.common import counted
from headroom.advise.findings.parallel import alike, parallel_findings
from headroom.advise.overlap import Overlap, overlap_of
from headroom.advise.questions.answer import Answer, Cell, Table
from headroom.advise.recorded import Recorded
from headroom.advise.streams import fork_and_join
from headroom.advise.timed import TimedGraph
from headroom.advise.timelines import Change

NUMBER = 2
QUESTION = "Are independent layers run in parallel?"

#: From this share of the GPU's busy time on, kernels of different layers count as run side by side.
_OVERLAPS = 0.01

LIMITS = (
    "PyTorch runs every layer on one stream unless told otherwise, and torch.compile does too. On streams of a run "
    "without a CUDA graph the host asks for one launch after the other, so that branches overlap only where their "
    "kernels are longer than a launch; tensors that cross streams need tensor.record_stream(stream)."
)


def parallel(case: Case) -> Answer:
    """Overlap found in the run, and the regions of independent layers with what is gained there."""
    run = Recorded.of(case)
    timed = case.timed if run is None else as_ran(run)
    regions = [region for region in parallel_regions(timed) if region.sequential_us > region.critical_us]
    overlap = None if run is None else overlap_of(run)
    findings = _findings(timed, run, regions, overlap)
    return Answer(
        number=NUMBER,
        question=QUESTION,
        sentence=_sentence(timed, regions, run, overlap),
        findings=findings,
        tables=(_table(timed, regions),) if regions else (),
        needs="" if run or not regions else "A profile shows whether they overlap already: --profile trace.json.",
    )


def _findings(
    timed: TimedGraph, run: Recorded | None, regions: Sequence[Region], overlap: Overlap | None
) -> tuple[Finding, ...]:
    if overlap is not None and run is not None and overlap.time_us > _OVERLAPS * run.step.gpu_busy_us:
        return ()
    if run is None:
        found = zip(alike(timed, regions), parallel_findings(timed, regions), strict=True)
        return tuple(replace(finding, code=_code(timed, group), limits=LIMITS) for group, finding in found)
    named = []
    for group, finding in zip(alike(timed, regions), parallel_findings(timed, regions), strict=True):
        saves_us, error_pct = _saved(run, timed, group)
        if saves_us > 0:
            # Shares of SMs and bandwidth are the theory's, whatever the times are.
            bar = error_pct + finding.error_pct
            whole_us = run.latency_us
            speedup = whole_us / (whole_us - saves_us)
            named.append(
                replace(
                    finding, saves_us=saves_us, error_pct=bar, speedup=speedup, code=_code(timed, group), limits=LIMITS
                )
            )
    return tuple(named)


def _saved(run: Recorded, timed: TimedGraph, regions: Sequence[Region]) -> tuple[float, float]:
    """The run with each region's launches as much shorter as running side by side makes the region."""
    change = Change()
    forks_us = 0.0
    for region in regions:
        scale = region.joint_us / region.sequential_us
        launches = [launch for layer in region.layers for launch in run.launches_of(layer)]
        change |= Change(gpu_us={each: run.step.launches[each].duration_us * scale for each in launches})
        if not run.is_graph:
            # The host records an event and waits for one, for each branch but the first.
            forks_us += 2 * (region.branches - 1) * timed.gpu.launch_us
    saves_us, error_pct = run.timelines.saves(change)
    return (saves_us - forks_us if run.timelines.is_host_bound else saves_us), error_pct


def _code(timed: TimedGraph, regions: Sequence[Region]) -> str:
    first = max(regions, key=lambda region: region.saves_us)
    return fork_and_join(timed, first.fork)


def _sentence(timed: TimedGraph, regions: Sequence[Region], run: Recorded | None, overlap: Overlap | None) -> str:
    found = ""
    if run is not None and overlap is not None:
        share = overlap.time_us / (run.step.gpu_busy_us or 1.0)
        streams = counted(overlap.streams, "stream")
        found = (
            f"Kernels of different layers ran at the same time for {figures.percent(share)} of the GPU's busy time, on "
            f"{streams}. "
            if share > _OVERLAPS
            else f"No: no two layers ran at the same time; every launch was on {streams}. "
        )
    if not regions:
        return f"{found}The model has no independent layers: each one waits for the one before it."
    critical_us = sum(region.sequential_us - region.critical_us for region in regions)
    saves_us = sum(max(0.0, region.saves_us) for region in regions)
    error_pct = timed.theory_error_pct([layer for region in regions for layer in region.layers])
    gain = (
        f"they leave each other room for {figures.time(saves_us, error_pct)} of that"
        if saves_us > 0
        else "each of them fills the GPU already, so that nothing is gained"
    )
    hidden = (
        " The host sets the pace of this run, though, so that only a CUDA graph with parallel branches shows the gain."
        if run is not None and run.timelines.is_host_bound and not run.is_graph and saves_us > 0
        else ""
    )
    return (
        f"{found}The model has independent layers in {counted(len(regions), 'place')}; the critical path is "
        f"{figures.time(critical_us, error_pct)} shorter than all layers in sequence, and {gain}.{hidden}"
    )


def _table(timed: TimedGraph, regions: Sequence[Region]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for region in sorted(regions, key=lambda region: -region.saves_us):
        names = timed.names(region.layers)
        used = sum(timed.times_us[layer] * share_of_gpu(timed, layer) for layer in region.layers)
        rows.append(
            (
                f"{names[0]} to {names[-1]}",
                region.branches,
                region.sequential_us,
                region.critical_us,
                100 * used / region.sequential_us,
                region.joint_us,
                max(0.0, region.saves_us),
            )
        )
    heads = (
        "layers", "branches", "in sequence us", "critical path us", "share of the GPU in sequence %", "together us",
        "saves in a CUDA graph us",
    )  # fmt: skip
    note = (
        "Together is the longer of the critical path and the GPU that all layers use (the share of SMs with a CTA, of "
        "DRAM bandwidth, or of the roofline floor, whichever is largest), with an event for each branch."
    )
    return Table("Independent layers", heads, tuple(rows), note)
