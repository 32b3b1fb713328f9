"""What would fusion give? (Benanza, question 5.)"""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.attention import AttentionWays, attention_ways
from headroom.advise.case import Case
from headroom.advise.findings.common import counted
from headroom.advise.findings.fusion import Pattern, fusion_findings, fusion_patterns
from headroom.advise.measurements import implementation_text, shown
from headroom.advise.questions.answer import Answer, Table

QUESTION = "What would fusing layers into one kernel give?"


def fusion(case: Case) -> Answer:
    """The fused bound by pattern, attention fused against composed, and the copies that a fused run does without."""
    patterns = fusion_patterns(case.timed)
    attention = attention_ways(case)
    tables = [_pattern_table(case, patterns)] if patterns else []
    if attention:
        tables.append(_attention_table(attention))
    return Answer(
        number=5,
        question=QUESTION,
        sentence=_sentence(case, patterns, attention),
        findings=_findings(case),
        tables=tuple(tables),
        needs=_needs(case, patterns),
    )


def _findings(case: Case) -> tuple[Finding, ...]:
    """Off the sequential bound. What a recorded run left unfused is the framework's doing, and question 4's."""
    return () if case.has_run else tuple(fusion_findings(case.timed))


def _sentence(case: Case, patterns: Sequence[Pattern], attention: Sequence[AttentionWays]) -> str:
    bounds = case.bounds
    if bounds.fused_us is None:
        return "Nothing in this model has a fused implementation that is faster than its layers one by one."
    fused = figures.time_with_error(bounds.fused_us, bounds.fused_error_pct)
    apart = figures.time(bounds.sequential_us, bounds.sequential_error_pct)
    gain = figures.ratio(bounds.sequential_us / bounds.fused_us) if bounds.fused_us else figures.NOTHING
    parts = [f"With every fusion that is faster, the layers take {fused} instead of {apart}: {gain}."]
    if patterns:
        best = patterns[0]
        saves = figures.time(best.saves_us, case.timed.error_pct(best.layers))
        parts.append(f"Most comes from {best.names[0]}, {counted(len(best.groups), 'chain')}: {saves}, {best.source}.")
    copied_us = _copied_us(case)
    if copied_us:
        parts.append(
            f"{figures.time(copied_us, case.timed.error_pct(case.timed.copies))} of it are copies (transposes, slices, "
            "concatenations) that the layers beside them can do without; PyTorch makes views of most of them already."
        )
    if case.has_run:
        parts.append("What your run left in kernels of their own, and what that costs it, stands under question 4.")
    slower = sum(ways.composed_us * ways.count for ways in attention if ways.composed_us is not None)
    if slower:
        together = sum(ways.fused_us * ways.count for ways in attention if ways.composed_us is not None)
        parts.append(
            f"Attention counts as fused in every bound ({figures.time(together)}); composed of separate products and "
            f"softmax it takes {figures.time(slower)}."
        )
    return " ".join(parts)


def _copied_us(case: Case) -> float:
    return sum(case.timed.times_us[layer] for layer in case.timed.copies)


def _pattern_table(case: Case, patterns: Sequence[Pattern]) -> Table:
    rows: list[tuple[str | float | int | None, ...]] = [
        (
            pattern.names[0],
            len(pattern.groups),
            pattern.before_us,
            pattern.after_us,
            pattern.saves_us,
            str(pattern.source),
            ", ".join(f"`{shown(name)}`" for name in pattern.best.implementations) or None,
            pattern.recipe.how,
        )
        for pattern in patterns
    ]
    copied_us = _copied_us(case)
    if copied_us:
        moved = counted(len(case.timed.copies), "copy", "copies")
        rows.append(
            (f"{moved} beside another layer", len(case.timed.copies), copied_us, 0.0, copied_us, None, None, None)
        )
    return Table(
        title="Patterns that gain from fusion",
        heads=(
            "pattern",
            "chains",
            "apart us",
            "fused us",
            "saves us",
            "the saving is",
            "fastest kernels",
            "in PyTorch",
        ),
        rows=tuple(rows),
        note="Each chain at the fastest way to run it whole or in parts; chains that gain nothing are left out. The "
        "kernels are those of the chain that saves most.",
    )


def _attention_table(attention: Sequence[AttentionWays]) -> Table:
    return Table(
        title="Attention, fused and composed",
        heads=("layer", "count", "composed us", "composed is", "fused us", "fused is", "fastest", "in PyTorch us"),
        rows=tuple(
            (
                ways.name,
                ways.count,
                ways.composed_us,
                None if ways.composed_us is None else str(ways.composed_source),
                ways.fused_us,
                str(ways.fused_source),
                None if ways.fastest is None else f"`{shown(implementation_text(ways.fastest))}`",
                ways.in_pytorch_us,
            )
            for ways in attention
        ),
        note="Composed: products, softmax and what stands between as kernels of their own (PyTorch's math backend, "
        "where it was measured). In PyTorch: the fastest measured backend of "
        "`torch.nn.functional.scaled_dot_product_attention`; `torch.nn.attention.sdpa_kernel(backend)` picks one.",
    )


def _needs(case: Case, patterns: Sequence[Pattern]) -> str:
    if all(pattern.groups[0].implementations for pattern in patterns):
        return ""
    return (
        f"Some chains are predicted: `headroom measure MODEL --batch {case.timed.graph.batch} --dtype "
        f"{case.timed.dtype}` on that GPU times them fused."
    )
