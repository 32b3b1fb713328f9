"""How low can it go? (Benanza, question 1.)

The lower-bound latency (LBL) is the sum of the layers, each at its fastest implementation; in parallel, their critical
path. The Benanza ratio is LBL over measured latency: 1 leaves nothing to gain but fusion.
"""

from __future__ import annotations

from headroom import figures
from headroom.advise.analysis import Bounds
from headroom.advise.case import Case
from headroom.advise.findings.common import counted
from headroom.advise.latency import Latency, latency_of
from headroom.advise.measurements import usable
from headroom.advise.questions.answer import Answer, Table
from headroom.advise.timed import TimedGraph
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source

QUESTION = "How low can the latency go?"


def how_low(case: Case) -> Answer:
    """The bounds in words, per data type, and against every way that the model was run."""
    tables = [_dtype_table(case)]
    if case.latency_us is not None:
        tables.append(_run_table(case))
    return Answer(1, QUESTION, _sentence(case), tables=tuple(tables), needs=_needs(case))


def benanza_ratio(bound_us: float | None, latency_us: float | None) -> float | None:
    """LBL / measured; ``None`` where either is unknown."""
    return bound_us / latency_us if bound_us is not None and latency_us else None


def _sentence(case: Case) -> str:
    bounds = case.bounds
    if not bounds.sequential_us:
        return "No layer of this model has a time, so that nothing bounds it."
    sequential = figures.time_with_error(bounds.sequential_us, bounds.sequential_error_pct)
    parts = [f"Every layer at its fastest implementation, one after another, takes {sequential} (LBL)"]
    if bounds.parallel_us < 0.99 * bounds.sequential_us:
        parallel = figures.time(bounds.parallel_us, bounds.parallel_error_pct)
        parts.append(f"with all independent layers side by side no less than {parallel}")
    if bounds.fused_us is not None:
        parts.append(f"with layers fused {figures.time(bounds.fused_us, bounds.fused_error_pct)}")
    light = figures.time(bounds.speed_of_light_us, bounds.speed_of_light_error_pct)
    sentences = ["; ".join(parts) + f". The hardware itself needs {light}."]
    latency = latency_of(case.execution, case.networks)
    if latency is not None:
        sentences.append(_ratio_sentence(case, latency))
    return " ".join(sentences)


def _ratio_sentence(case: Case, latency: Latency) -> str:
    ratio = case.bounds.sequential_us / latency.time_us
    over = "measured" if latency.is_measured else "estimated"
    digits = 3 if latency.is_measured else figures.justified_digits(latency.error_pct)
    shown = f"{latency}: a Benanza ratio (LBL / {over}) of {figures.significant(ratio, digits)}"
    if ratio < 1:
        return f"{shown}, so that {figures.percent(1 - ratio)} can go."
    return f"{shown}, {_why_above(case)}."


def _why_above(case: Case) -> str:
    """What is known of how a run can be faster than all layers at their fastest, one after another."""
    if _fuses(case):
        return "because that run fuses layers"
    reasons = []
    total = sum(configuration.count for configuration, _ in case.timed.pairs())
    predicted = sum(c.count for c, prediction in case.timed.pairs() if prediction.source is not Source.MEASURED)
    if predicted:
        reasons.append(f"{predicted} of {total} layers are predicted, not measured")
    if (narrow := _in_tf32(case)) and case.timed.dtype is DataType.FP32:
        reasons.append(f"{counted(narrow, 'layer')} ran in tf32 where the bound is for fp32")
    ran_in = None if case.execution is None else case.execution.dtype
    if ran_in is not None and ran_in is not case.timed.dtype:
        reasons.append(f"the run is mostly in {ran_in} where the bound is for {case.timed.dtype}")
    if not reasons:
        return "though that run is not known to fuse layers: what it does less than the bound is not known"
    return f"which a run that fuses nothing may reach because {' and '.join(reasons)}"


def _fuses(case: Case) -> bool:
    """Whether the run that the bound is held against does several layers in one kernel."""
    if case.has_run and case.execution is not None:
        return any(len(run.layers) > 1 and run.launches for run in case.execution.runs)
    fastest = case.fastest(case.timed.dtype)
    return fastest is not None and not {"eager", "cuda-graph"} & set(fastest.mode.split())


def _in_tf32(case: Case) -> int:
    """Layers that the user's run multiplied in tf32, by their kernels' names."""
    if case.execution is None:
        return 0
    step = case.execution.step
    names = ([step.launches[launch].name for launch in run.launches] for run in case.execution.runs)
    return sum(any("tf32" in name for name in each) for each in names)


def _dtype_table(case: Case) -> Table:
    return Table(
        title="Lower bounds by data type",
        heads=(
            "data type", "one by one us", "error pct", "in parallel us", "fused us", "speed of light us",
            "measured share pct", "fastest run us", "run as", "one by one / run x", "in parallel / run x",
        ),
        rows=tuple(
            _dtype_row(case, dtype, timed, case.bounds_by_dtype[dtype]) for dtype, timed in case.dtypes.items()
        ),
        note="Measured share: of the one-by-one time. What was not measured is predicted, corrected by how far theory "
        "is off for the same layer in another type. PyTorch has no convolution in fp8, and fp8 needs scales.",
    )  # fmt: skip


def _dtype_row(case: Case, dtype: DataType, timed: TimedGraph, bounds: Bounds) -> tuple[str | float | None, ...]:
    run = case.fastest(dtype)
    latency_us = None if run is None else run.median_us
    return (
        str(dtype),
        bounds.sequential_us,
        bounds.sequential_error_pct,
        bounds.parallel_us,
        bounds.fused_us,
        bounds.speed_of_light_us,
        100 * timed.measured_share,
        latency_us,
        None if run is None else run.mode,
        benanza_ratio(bounds.sequential_us, latency_us),
        benanza_ratio(bounds.parallel_us, latency_us),
    )


def _run_table(case: Case) -> Table:
    runs = [(run.mode, run.median_us) for run in case.networks if usable(run)]
    if case.has_run and case.execution is not None:
        latency = latency_of(case.execution, ())
        how = "your run" if latency is None or latency.is_measured else "your run, estimated"
        runs.insert(0, (f"{how} ({case.execution.profile.title})", case.latency_us))
    bounds = case.bounds
    return Table(
        title=f"Benanza ratios in {case.timed.dtype}",
        heads=("run as", "time us", "one by one / run x", "in parallel / run x", "fused / run x", "above fused us"),
        rows=tuple(
            (
                mode,
                time_us,
                benanza_ratio(bounds.sequential_us, time_us),
                benanza_ratio(bounds.parallel_us, time_us),
                benanza_ratio(bounds.fused_us, time_us),
                None if bounds.fused_us is None or time_us is None else time_us - bounds.fused_us,
            )
            for mode, time_us in runs
        ),
        note="1 means that nothing is left between the bound and the run; above 1 the run does what the bound leaves "
        "out (a compiled run fuses layers).",
    )


def _needs(case: Case) -> str:
    if case.latency_us is not None:
        return ""
    known = "No run of this model is known" if case.execution is None else "No run of this model on a GPU is known"
    return (
        f"{known}. `headroom analyze MODEL --profile TRACE` compares your own with the bounds, "
        f"`headroom measure MODEL --network --batch {case.timed.graph.batch} --dtype {case.timed.dtype}` runs it in "
        "frameworks."
    )
