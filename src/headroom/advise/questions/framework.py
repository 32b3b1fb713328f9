"""Question 4: is there inefficiency in the framework?

The calls and kernels that the model's layers ask for are known; what was executed beside them is named with the layer
that it belongs to, its cost and the remedy (Benanza, question 4).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.findings.common import CERTAIN_PCT, SMALLEST_SHARE, counted
from headroom.advise.held_up import own_share
from headroom.advise.questions.answer import Answer, Cell, Table
from headroom.advise.questions.deviations import deviations
from headroom.advise.questions.library_log import LibraryLog
from headroom.advise.questions.losses import GRAPH_DETECTORS, RUN_DETECTORS
from headroom.advise.questions.losses.beyond_graph import beyond_the_graph
from headroom.advise.recorded import Recorded

NUMBER = 4
QUESTION = "Is there inefficiency in the framework?"

#: Layers that the table of deviations shows.
_MOST_ROWS = 25


def framework(case: Case) -> Answer:
    """Every loss that a detector finds, the largest first, and what was expected beside what was executed."""
    run = Recorded.of(case)
    found = [finding for detector in GRAPH_DETECTORS for finding in detector(case)]
    if run is None:
        needs = _NEEDS if case.execution is None else _NO_LAUNCHES
        worth = _ranked(found, case.timed.sequential_us)
        return Answer(NUMBER, QUESTION, _unrecorded(case, found), worth, needs=needs)
    found += [finding for detector in RUN_DETECTORS for finding in detector(run)]
    worth = _ranked(found, run.latency_us)
    findings = _ranked(beyond_the_graph(run, worth), run.latency_us)
    return Answer(
        number=NUMBER,
        question=QUESTION,
        sentence=_sentence(run, findings),
        findings=findings,
        tables=tuple(_tables(run)),
    )


def _tables(run: Recorded) -> Iterator[Table]:
    yield _timelines(run)
    yield _by_purpose(run)
    yield _many_launches(run)
    differing = deviations(run)
    if differing is not None:
        yield differing
    if (log := LibraryLog.of(run)) is not None:
        yield from log.tables


def naming_shown(case: Case, answers: Sequence[Answer], shown: Sequence[Finding]) -> tuple[Answer, ...]:
    """All questions' answers, this one's with the largest loss of those that a reader is ``shown``.

    A loss whose remedy is that of a larger finding of another question is not shown beside it.
    """
    run = Recorded.of(case)
    if run is None:
        return tuple(answers)
    return tuple(_naming_shown(run, each, shown) if each.number == NUMBER else each for each in answers)


def _naming_shown(run: Recorded, answer: Answer, shown: Sequence[Finding]) -> Answer:
    listed = [finding for finding in answer.findings if finding in shown]
    return replace(answer, sentence=_sentence(run, listed, is_all=len(listed) == len(answer.findings)))


_NEEDS = (
    "A profile shows what the framework really ran: `headroom profile MODEL` records one, "
    "`headroom analyze MODEL --profile trace.json` reads it."
)
_NO_LAUNCHES = (
    "The profile holds nothing that ran on a GPU; record one there, with torch.profiler's ProfilerActivity.CUDA among "
    "the activities."
)


def _ranked(found: Sequence[Finding], whole_us: float) -> tuple[Finding, ...]:
    worth = (each for each in found if each.saves_us > SMALLEST_SHARE * whole_us and each.error_pct < CERTAIN_PCT)
    return tuple(sorted(worth, key=lambda finding: (-finding.saves_us, finding.kind, finding.layers)))


def _unrecorded(case: Case, found: Sequence[Finding]) -> str:
    shows = f"what the framework adds shows in a profile{'' if case.execution is None else ' of a GPU'}."
    if not found:
        return f"The model itself asks for no work that it could do without; {shows}"
    return f"The model itself asks for needless work ({_lower(found[0].title)}); {shows}"


def _sentence(run: Recorded, findings: Sequence[Finding], *, is_all: bool = True) -> str:
    expected, executed = _expected(run), len(run.step.launches)
    lines = run.timelines
    bound = (
        f"the host sets the pace: it needs {figures.time(lines.host_us, 100 * lines.host_error)} where the GPU is busy "
        f"for {figures.time(run.step.gpu_busy_us)}"
        if lines.is_host_bound and not run.is_graph
        else f"the GPU sets the pace: it is busy for {figures.time(run.step.gpu_busy_us)} of "
        f"{figures.time(run.latency_us)}"
    )
    none = "No loss is surely worth a change." if is_all else "What it loses ends with what other questions advise."
    worst = f" The largest loss: {_lower(findings[0].title)}." if findings else f" {none}"
    log = LibraryLog.of(run)
    logged = "" if log is None else f" {log.sentence}"
    return f"The {counted(expected, 'layer')} were run by {executed} launches, and {bound}.{worst}{logged}"


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]


def _expected(run: Recorded) -> int:
    """Layers that do work: each asks for one kernel at most."""
    return len(run.case.timed.graph.working_layers)


def _timelines(run: Recorded) -> Table:
    lines, step = run.timelines, run.step
    rows: tuple[tuple[Cell, ...], ...] = (
        ("one inference, without the recorder", run.latency_us),
        ("one inference, as recorded", run.execution.latency_us),
        ("the host's own work, without the recorder", lines.host_us),
        ("the GPU is busy", step.gpu_busy_us),
        ("the GPU's queue, never empty", lines.gpu_us),
        ("the same launches as a replayed CUDA graph", lines.replayed_us),
        ("the host waits for the GPU, as recorded", sum(wait.duration_us for wait in step.waits)),
    )
    held_up = 1.0 - own_share(step, run.execution.profile.steps)
    if held_up:
        rows += (("something held the host up in this step, as others tell", held_up * step.duration_us),)
    return Table(
        "Host and GPU",
        ("what", "time us"),
        rows,
        note=(
            "The later of host and GPU sets the latency; a saving on the other one is none. PyTorch's profiler "
            "lengthens the host's work by half, which is taken off."
        ),
    )


def _by_purpose(run: Recorded) -> Table:
    """What ran that no layer asks for, and what it costs: now, and where the host costs nothing."""
    grouped: dict[str, list[int]] = defaultdict(list)
    for other in run.execution.others:
        grouped[other.purpose] += other.launches
    rows = []
    for purpose, launches in sorted(grouped.items(), key=lambda item: -run.time_us(item[1])):
        saves_us = run.timelines.saves_us(run.without(launches))
        rows.append((purpose, len(launches), run.time_us(launches), saves_us, run.replayed_us(launches)))
    heads = ("purpose", "launches", "GPU time us", "saves now us", "saves in a CUDA graph us")
    return Table("Launches that no layer asks for", heads, tuple(rows))


def _many_launches(run: Recorded) -> Table:
    """Layers that were run by more launches than one, those beside the layer included, the costliest first."""
    graph = run.case.timed.graph
    beside: dict[int, list[int]] = defaultdict(list)
    for other in run.execution.others:
        if other.near is not None:
            beside[other.near] += other.launches
    found = []
    for each in run.execution.runs:
        extra = [launch for layer in each.layers for launch in beside[layer]]
        more = len(each.launches) + len(extra) - len(each.layers)
        if more > 0:
            found.append((run.time_us(extra), more, each, extra))
    found.sort(key=lambda item: (-item[0], -item[1], item[2].layers))
    rows = tuple(
        (
            ", ".join(run.case.timed.names(each.layers)),
            ", ".join(graph.layers[layer].step for layer in each.layers),
            len(each.layers),
            len(each.launches) + len(extra),
            each.time_us,
            extra_us,
        )
        for extra_us, _, each, extra in found[:_MOST_ROWS]
    )
    heads = ("layer", "kind", "expected launches", "executed launches", "its own time us", "time beside it us")
    more = len(found) - len(rows)
    return Table("Layers run by more launches than they ask for", heads, rows, f"{more} more." if more > 0 else "")
