"""What would fusion give? Chains whose values could stay on the chip, grouped by pattern."""

from __future__ import annotations

import math
from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.fusion import FusedGroup, fused_groups
from headroom.advise.timed import TimedGraph
from headroom.graph.kinds import LayerKind
from headroom.predict.prediction import Source


def fusion_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding per pattern (``convolution + batch + relu``) over all its occurrences.

    Chains whose saving was measured and chains whose saving is predicted are a finding each.
    """
    patterns: dict[tuple[tuple[str, ...], Source], list[FusedGroup]] = {}
    for group in fused_groups(timed):
        patterns.setdefault((group.steps, group.source), []).append(group)
    for (_, source), groups in patterns.items():
        pattern = groups[0].pattern
        before_us = sum(group.unfused_us for group in groups)
        after_us = sum(group.fused_us for group in groups)
        layers = [index for group in groups for index in group.layers]
        before = figures.time(before_us, timed.error_pct(layers))
        after = figures.time(after_us, sum(group.fused_us * group.error_pct for group in groups) / after_us)
        yield make_finding(
            timed,
            kind="fusion",
            title=f"{pattern}: {counted(len(groups), 'chain')} in separate kernels",
            action=(
                f"Fuse {pattern} ({_how(timed, groups[0])}): {counted(len(groups), 'chain')}, "
                f"{before} apart and a {source} {after} fused.{_measured_fused(groups)}"
            ),
            layers=layers,
            saves_us=before_us - after_us,
            source=source,
            error_pct=_difference_pct(timed, groups) if source is Source.MEASURED else None,
        )


def _difference_pct(timed: TimedGraph, groups: list[FusedGroup]) -> float:
    """Error bar of a measured saving, in percent of it: two measurements' noise does not cancel, unlike a theory's."""
    before_us = sum(group.unfused_us * timed.error_pct(group.layers) for group in groups)
    after_us = sum(group.fused_us * group.error_pct for group in groups)
    return math.hypot(before_us, after_us) / sum(group.saves_us for group in groups)


def _measured_fused(groups: list[FusedGroup]) -> str:
    """How many of the chains were measured fused, and the kernel behind the largest saving among them."""
    timed = [group for group in groups if group.implementations]
    if not timed:
        return ""
    names = max(timed, key=lambda group: group.saves_us).implementations
    return f" {counted(len(timed), 'chain')} measured fused, the most saved by `{'`, `'.join(names)}`."


def _how(timed: TimedGraph, group: FusedGroup) -> str:
    """The implementation that fuses a chain which begins like this one."""
    kind = timed.graph.layers[group.layers[0]].kind
    if kind is LayerKind.CONVOLUTION:
        return "a cuDNN graph with a pointwise epilogue, BatchNorm folded into the weights"
    if kind in (LayerKind.MATMUL, LayerKind.MATVEC):
        return "a cuBLASLt epilogue or a compiled kernel"
    return "one kernel of torch.compile or TensorRT"
