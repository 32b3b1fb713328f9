"""Questions 1 and 7 asked of several analyses at once: one model over batch sizes, data types and GPUs.

(The slides' first table and last chart.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from headroom import figures
from headroom.advise.across import bounds_across, joint_speedup_across
from headroom.advise.analysis import Analysis
from headroom.advise.questions.answer import Answer, Lines, Table

#: Places that a sentence names before it stops: what is beyond is in the table under it.
_MOST_NAMED = 3


_STARTS_DIFFER = (
    "A speedup is over the fastest run that is known; where none is, over the layers one after another. A start that "
    "fuses already leaves less to gain, so compare lines with that in mind."
)


def combined(analyses: Sequence[Analysis]) -> tuple[Answer, ...]:
    """How low it goes, and what everything together gives, over ``analyses``; empty for fewer than two.

    The second is left out where no analysis knows its joint bound.
    """
    if len(analyses) < 2:
        return ()
    bounds, *charts = bounds_across(analyses)
    answers = [
        Answer(
            1,
            "How low can it go, over batch sizes and GPUs?",
            " ".join(_how_low(analyses)),
            tables=(bounds,),
            charts=_with_a_line(charts),
        )
    ]
    gains, speedups = joint_speedup_across(analyses)
    if gains.rows:
        answers.append(
            Answer(
                7,
                "What does everything together give, over batch sizes and GPUs?",
                _together(gains),
                tables=(replace(gains, note=_STARTS_DIFFER if _starts(gains) > 1 else ""),),
                charts=_with_a_line([speedups]),
            )
        )
    return tuple(answers)


def _with_a_line(charts: Sequence[Lines]) -> tuple[Lines, ...]:
    """Those in which at least two points make a line: a single batch is told by the table."""
    return tuple(chart for chart in charts if any(len(points) > 1 for _, points in chart.series))


def _how_low(analyses: Sequence[Analysis]) -> Iterator[str]:
    """What batching does to the bound of each GPU and data type, then the GPUs beside each other."""
    groups: dict[tuple[str, str], list[Analysis]] = {}
    for analysis in analyses:
        groups.setdefault((analysis.gpu.name, str(analysis.dtype)), []).append(analysis)
    told = 0
    for (gpu, dtype), members in groups.items():
        first, last = min(members, key=_batch), max(members, key=_batch)
        if first.batch < last.batch and told < _MOST_NAMED:
            told += 1
            yield (
                f"On {gpu} in {dtype} a sample needs at least {_per_sample(first)} at batch {first.batch} and "
                f"{_per_sample(last)} at batch {last.batch}."
            )
    smallest = [min(members, key=_batch) for members in groups.values()]
    if len(smallest) > 1 and len({analysis.batch for analysis in smallest}) == 1:
        fast, slow = min(smallest, key=_bound_us), max(smallest, key=_bound_us)
        yield (
            f"At batch {fast.batch} the lowest bound is that of {_name(fast)}, {_bound(fast)}; the highest that of "
            f"{_name(slow)}, {_bound(slow)}."
        )


def _together(gains: Table) -> str:
    """The smallest and the largest joint speedup; the columns are those of :func:`joint_speedup_across`."""
    rows = sorted(gains.rows, key=lambda row: float(row[-1] or 0.0))
    low, high = rows[0], rows[-1]
    most = f"Everything together makes the model {_times(high)} as fast on {high[0]} in {high[2]} at batch {high[1]}"
    if len(rows) == 1:
        return f"{most}."
    differ = " They do not all start alike: the table says from what." if _starts(gains) > 1 else ""
    return f"{most}, and {_times(low)} as fast on {low[0]} in {low[2]} at batch {low[1]}.{differ}"


def _starts(gains: Table) -> int:
    """How many different runs the speedups are over."""
    return len({row[gains.heads.index("from")] for row in gains.rows})


def _times(row: tuple[object, ...]) -> str:
    return f"{figures.significant(float(str(row[-1])), 2)} times"


def _batch(analysis: Analysis) -> int:
    return analysis.batch


def _name(analysis: Analysis) -> str:
    return f"{analysis.gpu.name} in {analysis.dtype}"


def _bound_us(analysis: Analysis) -> float:
    """The lowest bound that a single stream could reach: fused where something fuses."""
    bounds = analysis.bounds
    return bounds.sequential_us if bounds.fused_us is None else bounds.fused_us


def _error_pct(analysis: Analysis) -> float:
    bounds = analysis.bounds
    return bounds.sequential_error_pct if bounds.fused_us is None else bounds.fused_error_pct or 0.0


def _bound(analysis: Analysis) -> str:
    return figures.time(_bound_us(analysis), _error_pct(analysis))


def _per_sample(analysis: Analysis) -> str:
    return figures.time(_bound_us(analysis) / analysis.batch, _error_pct(analysis))
