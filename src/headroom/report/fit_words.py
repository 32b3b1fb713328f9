"""What people read of a plan of widths, in a terminal and on a page: a verdict, rows, sentences."""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.findings.common import counted
from headroom.change.widths.fit.plan import GroupMove, LayerChange, Plan
from headroom.change.widths.fit.stands import Side, Stand
from headroom.change.widths.fit.timing import Comparison
from headroom.change.widths.staircase.steps import Trend
from headroom.text import view

#: Groups that a sentence names.
_MOST_NAMED = 4

GROUP_HEADS = ("width group", "old", "new", "of layers", "")
LAYER_HEADS = ("layer", "inputs", "outputs", "on its staircase", "time", "gain", "from")


def verdict(plan: Plan) -> str:
    """What the plan comes to, in a sentence."""
    before = figures.time(plan.before_us, 10.0)
    if not any(move.candidates for move in plan.groups):
        return f"No width of this network can move: it takes {before} as it is."
    if not plan.helps:
        return f"No move helps: at {before} the network is as fast as these widths can make it."
    share = figures.percent(plan.gain_us / plan.before_us)
    few = len(plan.widths) == 1
    moves = f"{len(plan.widths)} of {counted(len(plan.groups), 'width group')} {'moves' if few else 'move'}"
    if plan.choice.parameters is not None:
        return f"{moves}: more parameters in {figures.time(plan.after_us, 10.0)}, where it took {before}."
    sure = "" if plan.certain else ", which the error bar does not leave certain: measure before relying on it"
    less = figures.time_with_bar(plan.gain_us, plan.error_us)
    return f"{moves}: {before} becomes {figures.time(plan.after_us, 10.0)}, {share} or {less} less{sure}."


def sentences(plan: Plan) -> list[str]:
    """What stands beside the verdict."""
    found = list(plan.choice.notes)
    if plan.choice.parameters is not None:
        before, after = (figures.amount(count) for count in plan.choice.parameters)
        found.append(
            f"{before} parameters become {after}; the new ones are read with weight zero until they are trained."
        )
    if plan.choice.rival_us is not None:
        found.append(f"The paper's Algorithm 2 comes to {figures.time(plan.choice.rival_us, 10.0)} on the same tables.")
    if plan.untold:
        found.append(
            f"For {counted(len(plan.untold), 'layer')} half of the new width is predicted to take as long: a "
            "prediction cannot tell these widths apart. On a machine with this GPU, --measure does."
        )
    best = plan.best_round_up
    if best is not None and any(each.widths != plan.space.problem.current for each in plan.round_ups):
        # On the same tables, whose errors they share: so many digits tell one from the other.
        others = ", ".join(f"{each.multiple} {figures.time(each.time_us)}" for each in plan.round_ups)
        found.append(
            f"Every width rounded up to a multiple of {others}; {best.multiple} is the best of them, and this plan "
            f"takes {figures.time(plan.after_us)}."
        )
    still = [move for move in plan.groups if move.reason is not None]
    if still:
        named = "; ".join(f"{view(move.name, 40)} ({view(move.reason or '', 100)})" for move in still[:_MOST_NAMED])
        more = f" and {len(still) - _MOST_NAMED} more" if len(still) > _MOST_NAMED else ""
        found.append(f"{counted(len(still), 'group')} cannot move: {named}{more}.")
    return found


def compared(found: Comparison) -> str:
    """What both networks took, run in turns."""
    times = f"{figures.time(found.before_us)} became {figures.time(found.after_us)}"
    noise = f"{figures.time_with_bar(found.saves_us, found.saves_iqr_us)} less"
    kept = "" if found.faster else "; that is not faster"
    return f"Measured in {found.turns} turns: {times}, {noise} (interquartile range){kept}."


def group_rows(plan: Plan) -> list[tuple[str, ...]]:
    """A row per group that could move, under :data:`GROUP_HEADS`."""
    return [_group(move) for move in plan.groups if move.reason is None]


def _group(move: GroupMove) -> tuple[str, ...]:
    change = "stays" if not move.moves else f"{move.after - move.before:+d}"
    return (view(move.name, 50), str(move.before), str(move.after), str(len(move.layers)), change)


def layer_rows(plan: Plan) -> list[tuple[str, ...]]:
    """A row per layer that changes, under :data:`LAYER_HEADS`, and one for all that only follows."""
    following = [layer for layer in plan.layers if layer.changes and layer.timed.wide is None]
    pairs = zip(plan.layers, plan.stands, strict=True)
    rows = [_layer(layer, stand) for layer, stand in pairs if layer.changes and stand is not None]
    return [*rows, *([_together(following)] if following else [])]


def _together(layers: Sequence[LayerChange]) -> tuple[str, ...]:
    """BatchNorm, activations, additions and poolings: many rows of next to nothing."""
    before, after = (sum(layer.points[side].latency_us for layer in layers) for side in (0, 1))
    gain = figures.time_with_bar(before - after, sum(layer.error_us for layer in layers))
    return ("what follows them", "", "", "", figures.time_change((before, 10.0), (after, 10.0)), gain, "")


def _layer(layer: LayerChange, stand: Stand) -> tuple[str, ...]:
    before, after = layer.points
    return (
        view(layer.name, 60),
        _arrow(layer.widths[0][0], layer.widths[1][0]),
        _arrow(layer.widths[0][1], layer.widths[1][1]),
        f"{place(stand.before)} → {place(stand.after)}",
        figures.time_change((before.latency_us, before.error_pct), (after.latency_us, after.error_pct)),
        figures.time_with_bar(layer.gain_us, layer.error_us),
        before.source.value if before.source is after.source else f"{before.source.value} → {after.source.value}",
    )


def place(side: Side) -> str:
    """Where a width lies: ``129–192``, its interval, with a slope where it is not steady."""
    interval = side.interval
    span = str(interval.first) if interval.first == interval.last else f"{interval.first}–{interval.last}"
    return span if interval.trend is Trend.STEADY else f"{span} {interval.trend}"


def _arrow(before: int, after: int) -> str:
    return str(before) if before == after else f"{before} → {after}"
