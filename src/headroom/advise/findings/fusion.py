"""What would fusion give? Chains whose values could stay on the chip, grouped by pattern."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.fusion import FusedGroup, fused_groups
from headroom.advise.measurements import shown
from headroom.advise.recipes import Recipe, recipe_for
from headroom.advise.timed import TimedGraph
from headroom.graph.kinds import LayerKind
from headroom.predict.prediction import Source


@dataclass(frozen=True)
class Pattern:
    """Chains that run faster fused: those of the same steps, or all that the same lines of code fuse."""

    timed: TimedGraph
    groups: tuple[FusedGroup, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """``convolution + batch norm + relu``; each once, in order."""
        return tuple(dict.fromkeys(group.pattern for group in self.groups))

    @property
    def source(self) -> Source:
        """Measured only if every chain is."""
        measured = all(group.source is Source.MEASURED for group in self.groups)
        return Source.MEASURED if measured else Source.PREDICTED

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(index for group in self.groups for index in group.layers)

    @property
    def before_us(self) -> float:
        return sum(group.unfused_us for group in self.groups)

    @property
    def after_us(self) -> float:
        return sum(group.fused_us for group in self.groups)

    @property
    def saves_us(self) -> float:
        return self.before_us - self.after_us

    @property
    def after_error_pct(self) -> float:
        return sum(group.fused_us * group.error_pct for group in self.groups) / (self.after_us or 1.0)

    @property
    def error_pct(self) -> float | None:
        """Error bar of a measured saving, in percent of it: two measurements' noise does not cancel, unlike a
        theory's. ``None`` for a predicted one, whose bar is the theory's."""
        if self.source is not Source.MEASURED:
            return None
        before = sum(group.unfused_us * self.timed.error_pct(group.layers) for group in self.groups)
        return math.hypot(before, self.after_us * self.after_error_pct) / self.saves_us

    @property
    def best(self) -> FusedGroup:
        """The chain that saves most, of those measured fused if any was."""
        return max(self.groups, key=lambda group: (bool(group.implementations), group.saves_us))

    @property
    def recipe(self) -> Recipe:
        layers = [self.timed.graph.layers[index] for index in self.best.layers]
        return recipe_for(layers, self.best.implementations)

    @property
    def folded_us(self) -> float:
        """What of the saving is had by folding BatchNorm into the weights, whatever else is fused."""
        folded = (index for index in self.layers if self.timed.graph.layers[index].kind is LayerKind.NORMALIZATION)
        return min(self.saves_us, sum(self.timed.times_us[index] for index in folded)) if self.recipe.folds else 0.0


def fusion_patterns(timed: TimedGraph) -> tuple[Pattern, ...]:
    """Every pattern (``convolution + batch norm + relu``) over all its occurrences, the largest saving first.

    Chains whose saving was measured and chains whose saving is predicted are a pattern each.
    """
    alike: dict[tuple[tuple[str, ...], Source], list[FusedGroup]] = {}
    for group in fused_groups(timed):
        alike.setdefault((group.steps, group.source), []).append(group)
    patterns = (Pattern(timed, tuple(groups)) for groups in alike.values())
    return tuple(sorted(patterns, key=lambda pattern: -pattern.saves_us))


def fusion_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding for all patterns that the same lines of code fuse."""
    alike: dict[str, list[FusedGroup]] = {}
    for pattern in fusion_patterns(timed):
        alike.setdefault(pattern.recipe.code, []).extend(pattern.groups)
    for groups in alike.values():
        pattern = Pattern(timed, tuple(groups))
        yield make_finding(
            timed,
            kind="fusion",
            title=f"{_named(pattern)}: {counted(len(groups), 'chain')} in separate kernels",
            action=_action(pattern),
            layers=pattern.layers,
            saves_us=pattern.saves_us,
            source=pattern.source,
            error_pct=pattern.error_pct,
            code=pattern.recipe.code,
            limits=pattern.recipe.limits,
        )


def _named(pattern: Pattern) -> str:
    more = len(pattern.names) - 1
    return f"{pattern.names[0]} and {counted(more, 'pattern')} more" if more else pattern.names[0]


def _action(pattern: Pattern) -> str:
    before = figures.time(pattern.before_us, pattern.timed.error_pct(pattern.layers))
    after = figures.time(pattern.after_us, pattern.after_error_pct)
    folded = ""
    if pattern.folded_us and pattern.folded_us < 0.95 * pattern.saves_us:
        folded = f" Folding BatchNorm alone saves about {figures.time(pattern.folded_us, pattern.error_pct or 100.0)}."
    return (
        f"Fuse {_named(pattern)}: {counted(len(pattern.groups), 'chain')}, {before} apart and a {pattern.source} "
        f"{after} fused. In PyTorch, {pattern.recipe.how}.{folded}{_measured_fused(pattern)}"
    )


def _measured_fused(pattern: Pattern) -> str:
    """How many of the chains were measured fused, and the kernel behind the largest saving among them."""
    fused = [group for group in pattern.groups if group.implementations]
    if not fused:
        return ""
    names = "`, `".join(map(shown, pattern.best.implementations))
    return f" {counted(len(fused), 'chain')} measured fused, the most saved by `{names}`."
