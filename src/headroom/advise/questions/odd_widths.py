"""Widths that keep products off wide loads, as a table and as findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.findings.common import CERTAIN_PCT, SMALLEST_SHARE, counted
from headroom.advise.questions.answer import Table
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change
from headroom.advise.widths import ALIGNED, Misaligned
from headroom.predict.prediction import Source


def width_table(case: Case, odd: Sequence[Misaligned]) -> Table:
    """The widths with their neighbours, and what the layers take at each."""
    multiple = ALIGNED[case.timed.dtype]
    return Table(
        title=f"Widths that are no multiple of {multiple}, which 16 bytes hold in {case.timed.dtype}",
        heads=(
            "widths", "nearest", "layers", "first", "run on", "loads elements", "time us", "padded us", "narrowed us",
            "error us",
        ),
        rows=tuple(
            (
                ", ".join(map(str, group.widths)),
                ", ".join(f"{below or '–'} or {above}" for below, above in group.widths.values()),
                len(group.layers),
                group.products[0].layer.name,
                ", ".join(dict.fromkeys(str(each.unit) for each in group.products if each.unit is not None)) or None,
                _loads(group),
                group.total_us,
                group.padded_us,
                group.narrowed_us,
                None if group.padded_us is None else group.error_us,
            )
            for group in odd
        ),
        note="Padded and narrowed: at the multiples above and below, by theory as far off as it is for this model's "
        "aligned layers of the kind. Padding with zeros leaves the function as it is; narrowing needs retraining.",
    )  # fmt: skip


def width_findings(case: Case, odd: Sequence[Misaligned]) -> Iterator[Finding]:
    """Padding that is predicted to pay, as far as that can be told from the layers beside."""
    timed, total_us = case.timed, case.comes_off_us
    for group in odd:
        saves_us, error_pct = _padding_saves(case, group)
        if saves_us <= SMALLEST_SHARE * total_us or error_pct >= CERTAIN_PCT:
            continue
        widths, above = ", ".join(map(str, group.widths)), ", ".join(str(above) for _, above in group.widths.values())
        by = "a width" if len(group.widths) == 1 else "widths"
        yield Finding(
            kind="alignment",
            title=f"{counted(len(group.layers), 'product')} kept off wide loads by {by} of {widths}",
            saves_us=saves_us,
            error_pct=error_pct,
            speedup=total_us / (total_us - saves_us) if saves_us < total_us else 1.0,
            layers=timed.names(group.layers),
            modules=timed.modules(group.layers),
            action=f"Pad {widths} to {above} with zeros, which leave the function as it is.{_as_it_is(case, group)}",
            source=Source.PREDICTED,
            limits="Layers that share a width (residual sums, shuffles, concatenations) have to change together, and "
            "what lies between them moves more bytes; the model's own input has to be padded by whoever makes it.",
        )


def _as_it_is(case: Case, group: Misaligned) -> str:
    """What the library makes of odd widths today, where kernels tell."""
    loads = _loads(group)
    if any(product.is_padded for product in group.products):
        return " cuDNN does so itself before each run, in kernels of their own."
    if loads is not None and loads < ALIGNED[case.timed.dtype]:
        return f" Kernels now load as few as {counted(loads, 'value')} at once."
    return ""


def _padding_saves(case: Case, group: Misaligned) -> tuple[float, float]:
    """What padding saves in us and its error bar in percent: off the run where there is one, off the bound else."""
    if group.gain_us is None or group.padded_us is None or group.gain_us <= 0:
        return 0.0, CERTAIN_PCT
    run = Recorded.of(case)
    if run is None:
        return group.gain_us, group.error_pct
    factor = group.padded_us / group.total_us
    launches = (launch for launch, layers in run.layers_of.items() if set(layers) & set(group.layers))
    saves_us, error_pct = run.timelines.saves(
        Change(gpu_us={launch: factor * run.step.launches[launch].duration_us for launch in launches})
    )
    return saves_us, max(error_pct, group.error_pct)


def _loads(group: Misaligned) -> int | None:
    """Fewest elements that one of the kernels loads at once."""
    return min((each for product in group.products if (each := product.alignment) is not None), default=None)
