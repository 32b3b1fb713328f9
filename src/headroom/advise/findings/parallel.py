"""Are independent layers run in parallel, and would it help? (Benanza, questions 1 and 2.)"""

from __future__ import annotations

from collections.abc import Iterator

from headroom.advise.analysis import Finding
from headroom.advise.branches import Region, parallel_regions, signature
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.timed import TimedGraph


def parallel_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding per distinct region with branches that gain from running together."""
    alike: dict[tuple[int, ...], list[Region]] = {}
    for region in parallel_regions(timed):
        if region.saves_us > 0:
            alike.setdefault(signature(timed, region.layers), []).append(region)
    for regions in alike.values():
        first = regions[0]
        layers = [index for region in regions for index in region.layers]
        where = timed.graph.layers[first.layers[-1]].name
        times = f"{counted(len(regions), 'place')} like this, the first" if len(regions) > 1 else "the branches"
        yield make_finding(
            timed,
            kind="parallel_branches",
            title=f"{first.branches} independent branches run one after another",
            action=(
                f"Run up to {first.branches} branches at once, on streams or as parallel branches of a CUDA graph: "
                f"{times} ending at {where}, take {first.sequential_us:.3g} us in sequence and a predicted "
                f"{first.joint_us:.3g} us together (critical path {first.critical_us:.3g} us)."
            ),
            layers=layers,
            saves_us=sum(region.saves_us for region in regions),
        )
