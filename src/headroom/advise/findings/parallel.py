"""Findings about regions of independent layers: what running them side by side would give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.branches import Region, parallel_regions, structure
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.timed import TimedGraph


def alike(timed: TimedGraph, regions: Sequence[Region]) -> tuple[tuple[Region, ...], ...]:
    """The regions that gain, those of one structure together: all Inception modules are one."""
    groups: dict[tuple[object, ...], list[Region]] = {}
    for region in regions:
        if region.saves_us > 0:
            groups.setdefault(structure(timed, region), []).append(region)
    return tuple(tuple(group) for group in groups.values())


def parallel_findings(timed: TimedGraph, regions: Sequence[Region] | None = None) -> Iterator[Finding]:
    """One finding per structure of region that gains from running together, in the order of :func:`alike`."""
    for group in alike(timed, parallel_regions(timed) if regions is None else regions):
        first = max(group, key=lambda region: region.saves_us)
        layers = [index for region in group for index in region.layers]
        where = timed.graph.layers[first.layers[-1]].name
        shown = partial(figures.time, error_pct=timed.error_pct(layers))
        places = counted(len(group), "place")
        yield make_finding(
            timed,
            kind="parallel_branches",
            title=f"{first.branches} independent branches in {places} run one after another",
            action=(
                f"Run up to {first.branches} branches at once, on streams or as parallel branches of a CUDA graph, in "
                f"{places}: what ends at {where} takes {shown(first.sequential_us)} in sequence and a predicted "
                f"{shown(first.joint_us)} together (critical path {shown(first.critical_us)})."
            ),
            layers=layers,
            saves_us=sum(region.saves_us for region in group),
        )
