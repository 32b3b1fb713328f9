"""Are independent layers run in parallel, and would it help? (Benanza, questions 1 and 2.)"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.branches import Region, parallel_regions, structure
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.timed import TimedGraph


def parallel_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding per structure of region (all Inception modules are one) that gains from running together."""
    alike: dict[tuple[object, ...], list[Region]] = {}
    for region in parallel_regions(timed):
        if region.saves_us > 0:
            alike.setdefault(structure(timed, region), []).append(region)
    for regions in alike.values():
        first = max(regions, key=lambda region: region.saves_us)
        layers = [index for region in regions for index in region.layers]
        where = timed.graph.layers[first.layers[-1]].name
        shown = partial(figures.time, error_pct=timed.error_pct(layers))
        places = counted(len(regions), "place")
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
            saves_us=sum(region.saves_us for region in regions),
        )
