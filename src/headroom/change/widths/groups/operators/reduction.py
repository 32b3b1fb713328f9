"""Reductions: over places they leave channels alone, over channels they hardly ever do."""

from __future__ import annotations

from headroom.change.widths.groups.labels import varies
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.operators.registry import follows
from headroom.change.widths.groups.trace import ChannelTrace

#: A channel of zeros adds nothing to these.
_ADDS_NOTHING = frozenset({"sum", "norm", "linalg_vector_norm"})


@follows(
    *("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "argmax", "argmin"),
    *("norm", "linalg_vector_norm", "logsumexp", "prod", "any", "all"),
)
def reduction(trace: ChannelTrace, call: Call) -> None:
    """Drop axes; where channels lie along them, they are frozen unless a zero channel counts for nothing."""
    source = call.args[0]
    labels = trace.labels(source)
    if labels is None:
        return
    axes = _axes(call, source.ndim)
    mixed = varies(trace.channels(labels), axes)
    if mixed and call.name not in _ADDS_NOTHING:
        trace.freeze(labels, f"{call.name} over its channels: one more or less changes the result")
    step = trace.step(labels)
    if mixed:
        if varies(trace.channels(labels), tuple(axis for axis in range(source.ndim) if axis not in axes)):
            trace.freeze(labels, f"{call.name} (operator {step}) over channels that lie along two axes")
        return
    for axis in sorted(axes, reverse=True):
        labels = labels.select(axis, 0)
    for result in call.results:
        kept = labels
        if result.ndim == source.ndim:
            for axis in sorted(axes):
                kept = kept.unsqueeze(axis)
        trace.label(result, kept)


def _axes(call: Call, rank: int) -> tuple[int, ...]:
    given: object = None
    for argument in call.function._schema.arguments:
        if argument.name == "dim":
            given = call.argument("dim")
    if given is None or given == []:
        return tuple(range(rank))
    listed = [given] if isinstance(given, int) else list(given)  # type: ignore[call-overload]
    return tuple(int(axis) % rank for axis in listed)
