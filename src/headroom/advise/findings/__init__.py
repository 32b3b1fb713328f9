"""One file per question. A question is a function from a timed graph to findings; adding one adds a file and a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headroom.advise.analysis import Finding
from headroom.advise.findings.common import CERTAIN_PCT, SMALLEST_SHARE
from headroom.advise.findings.fusion import fusion_findings
from headroom.advise.findings.parallel import parallel_findings
from headroom.advise.findings.tail import tail_findings
from headroom.advise.timed import TimedGraph

Question = Callable[[TimedGraph], Iterable[Finding]]

QUESTIONS: tuple[Question, ...] = (parallel_findings, fusion_findings, tail_findings)

#: Kinds whose savings come off a stored run of their own, so that they stand beside no bound.
OFF_A_STORED_RUN = frozenset({"host"})


def find_all(timed: TimedGraph) -> tuple[Finding, ...]:
    """What can be found without a profile or whole runs, ranked."""
    return ranked((finding for question in QUESTIONS for finding in question(timed)), timed.sequential_us)


def ranked(findings: Iterable[Finding], total_us: float) -> tuple[Finding, ...]:
    """Every finding worth a line beside ``total_us``, the largest saving first, and each once.

    Left out are those whose error bar reaches down to no saving at all.
    """
    smallest_us = SMALLEST_SHARE * total_us
    worth = [finding for finding in findings if finding.saves_us > smallest_us and finding.error_pct < CERTAIN_PCT]
    once = {(finding.kind, finding.layers, finding.title): finding for finding in worth}
    return tuple(sorted(once.values(), key=lambda finding: (-finding.saves_us, finding.kind, finding.layers)))
