"""Findings that need nothing but a timed graph, and what makes a finding worth a line."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.advise.analysis import Finding
from headroom.advise.findings.common import CERTAIN_PCT, SMALLEST_SHARE

#: Kinds whose savings come off a stored run of their own, so that they stand beside no bound.
OFF_A_STORED_RUN = frozenset({"host"})


def ranked(findings: Iterable[Finding], total_us: float) -> tuple[Finding, ...]:
    """Every finding worth a line beside ``total_us``, the largest saving first, and each once.

    Left out are those whose error bar reaches down to no saving at all, and those whose remedy is that of a larger one:
    two reasons for the same lines of code do not make them save twice.
    """
    smallest_us = SMALLEST_SHARE * total_us
    worth = [finding for finding in findings if finding.saves_us > smallest_us and finding.error_pct < CERTAIN_PCT]
    once = {(finding.kind, finding.layers, finding.title): finding for finding in worth}
    by_saving = sorted(once.values(), key=lambda finding: (-finding.saves_us, finding.kind, finding.layers))
    largest: dict[tuple[str, ...], Finding] = {}
    for finding in by_saving:
        remedy = (finding.code,) if finding.code else (finding.kind, *finding.layers, finding.title)
        largest.setdefault(remedy, finding)
    return tuple(largest.values())
