"""The story: time every layer, bound the whole, find what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headroom import figures
from headroom.advise.analysis import Analysis, Finding, LayerAnswer, Memory
from headroom.advise.assemble import assemble_case
from headroom.advise.bounds import parallel_schedule
from headroom.advise.case import Case
from headroom.advise.execution import Execution
from headroom.advise.findings import ranked
from headroom.advise.findings.common import counted
from headroom.advise.findings.packing import packing_findings
from headroom.advise.findings.steps import step_findings
from headroom.advise.findings.synapses import synapse_findings
from headroom.advise.findings.tail import tail_findings
from headroom.advise.fusion import fused_groups
from headroom.advise.latency import latency_of
from headroom.advise.measured_notes import measured_notes, nothing_measured
from headroom.advise.measurements import Measurements
from headroom.advise.networks import fastest_run, network_notes
from headroom.advise.phases import phases_of
from headroom.advise.questions import answer_all
from headroom.advise.questions.answer import Answer
from headroom.advise.questions.framework import naming_shown
from headroom.advise.timed import TimedGraph
from headroom.advise.verdict import verdict
from headroom.errors import StoreError, UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.own.choice import calibration_note, calibration_title
from headroom.predict.prediction import Prediction, Source

#: Most groups that a table of modules shows before it is rolled up one level.
MODULE_GROUPS = 12


def analyze_graph(
    graph: Graph,
    gpu: GpuSpec,
    dtype: DataType,
    l2_state: str = "warm",
    measurements: Measurements | None = None,
    *,
    theory_fills: bool = True,
    execution: Execution | None = None,
) -> Analysis:
    """Bounds, where time goes, the advisor's answers and their findings for ``graph`` on ``gpu``.

    Times are measured where ``measurements`` have them; the rest is predicted, or unknown if not ``theory_fills``.
    ``execution`` is the user's own run of the model, which savings then come off.

    Raises:
        UsageError: the GPU has no unit for ``dtype``.
        StoreError: only measured times count, and no layer has one.
    """
    if not gpu.supports(dtype):
        known = ", ".join(data_type for data_type in DataType if gpu.supports(data_type))
        raise UsageError(f"{gpu.name} has no {dtype} units; choose --dtype from {known}")
    case = assemble_case(graph, gpu, dtype, l2_state, measurements, theory_fills=theory_fills, execution=execution)
    timed = case.timed
    if not theory_fills and graph.configurations and not any(timed.timings):
        raise StoreError(nothing_measured(gpu, dtype, l2_state, graph.batch))
    found = answer_all(case)
    findings = find_all(case, found)
    questions = naming_shown(case, found, findings)
    by_bottleneck = _time_by(timed, lambda _, prediction: str(prediction.bottleneck))
    answers = _answers(timed)
    latency = latency_of(execution, case.networks)
    used = measurements if any(timed.timings) or case.networks else None
    took = (case.bounds.sequential_us, case.bounds.sequential_error_pct)
    if latency is not None:
        took = (latency.time_us, latency.error_pct)
    return Analysis(
        model=graph.name,
        gpu=gpu,
        batch=graph.batch,
        dtype=dtype,
        l2_state=l2_state,
        answers=answers,
        bounds=case.bounds,
        findings=findings,
        coverage=timed.coverage,
        memory=Memory(graph.weight_bytes(dtype), graph.peak_activation_bytes(dtype), gpu.memory_bytes),
        verdict=verdict(timed, case.bounds, findings, by_bottleneck, latency),
        schedule=parallel_schedule(timed),
        time_by_kind=_time_by(timed, lambda layer, _: str(layer.kind)),
        time_by_module=_time_by_module(timed),
        time_by_bottleneck=by_bottleneck,
        macs=graph.macs,
        flops=graph.flops,
        system=None if used is None else used.system.title,
        measured_us=None if latency is None else latency.time_us,
        measured_error_pct=0.0 if latency is None else latency.error_pct,
        networks=tuple(case.networks),
        fused=fused_groups(timed),
        questions=questions,
        execution=execution,
        phases=phases_of(graph, gpu, dtype, l2_state, *took) if theory_fills else None,
        calibration=calibration_title(gpu),
        notes=(
            *graph.notes,
            *_calibration_notes(timed),
            *measured_notes(timed, measurements),
            *network_notes(case.networks, fastest_run(case.networks)),
            *_layer_notes(timed),
            *_cache_notes(timed),
            *_code_notes(execution),
        ),
    )


def find_all(case: Case, questions: Sequence[Answer]) -> tuple[Finding, ...]:
    """Every finding worth a line, of all answers, the largest saving first."""
    found = [finding for answer in questions for finding in answer.findings]
    # A tail is the theory's, and comes off the bound: beside a run, question 3 says what another plan gives.
    found += tail_findings(case.timed) if not case.has_run else ()
    # What packed weights give is a prediction of kernels that the run does not have.
    found += packing_findings(case.timed) if not case.has_run else ()
    found += synapse_findings(case.timed) if not case.has_run else ()
    # What other widths give comes off the bound as well.
    found += step_findings(case.timed) if not case.has_run else ()
    return ranked(found, case.comes_off_us)


def _calibration_notes(timed: TimedGraph) -> tuple[str, ...]:
    """What a user's own calibration means for times that are predicted."""
    note = calibration_note(timed.gpu)
    if note is None or all(prediction.source is not Source.PREDICTED for prediction in timed.predictions):
        return ()
    return (note,)


def _layer_notes(timed: TimedGraph) -> tuple[str, ...]:
    """What the theory says of single layers (a kernel that is not im2col, say), each sentence once."""
    layers: dict[str, int] = {}
    time_us: dict[str, float] = {}
    for configuration, prediction in timed.pairs():
        # A measured layer's notes are its own: they stand in its row.
        for note in prediction.notes if prediction.source is Source.PREDICTED else ():
            layers[note] = layers.get(note, 0) + configuration.count
            time_us[note] = time_us.get(note, 0.0) + (prediction.time_us or 0.0) * configuration.count
    share = {note: figures.percent(time / (timed.sequential_us or 1.0)) for note, time in time_us.items()}
    return tuple(f"{counted(number, 'layer')}, {share[note]} of the time: {note}." for note, number in layers.items())


def _cache_notes(timed: TimedGraph) -> tuple[str, ...]:
    """What a warm cache means for a model whose weights do not fit in it."""
    weights, cache = timed.graph.weight_bytes(timed.dtype), timed.gpu.l2.size_bytes
    if timed.l2_state != "warm" or weights <= cache:
        return ()
    return (
        f"L2 warm: every layer is timed as if its operands were in L2 where they fit, as in a benchmark that repeats "
        f"it. All weights together ({figures.capacity(weights)}) do not fit in {figures.capacity(cache)}; --l2 cold "
        f"charges every layer for its DRAM traffic.",
    )


def _code_notes(execution: Execution | None) -> tuple[str, ...]:
    """Whose lines the findings give, where the user runs something else."""
    if execution is None or execution.profile.recorder != "onnxruntime":
        return ()
    return ("Your run is ONNX Runtime's; the lines of code are PyTorch's, and its own settings are other ones.",)


def _answers(timed: TimedGraph) -> tuple[LayerAnswer, ...]:
    layers = timed.graph.layers
    return tuple(
        LayerAnswer(
            layer=configuration.layer,
            names=tuple(layers[index].name for index in configuration.members),
            modules=tuple(layers[index].module for index in configuration.members),
            indices=configuration.members,
            prediction=prediction,
            timing=timed.timing(index),
            predicted_us=timed.theory[index].time_us if timed.theory else None,
        )
        for index, (configuration, prediction) in enumerate(timed.pairs())
    )


def _time_by(timed: TimedGraph, label: Callable[[Layer, Prediction], str]) -> dict[str, float]:
    """Sequential time per label, the largest first."""
    totals: dict[str, float] = {}
    for configuration, prediction in timed.pairs():
        name = label(configuration.layer, prediction)
        totals[name] = totals.get(name, 0.0) + (prediction.time_us or 0.0) * configuration.count
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def _time_by_module(timed: TimedGraph) -> dict[str, float]:
    """Sequential time per module, at the deepest level that still makes a short table."""
    paths = [layer.module.split(".") if layer.module else [] for layer in timed.graph.layers]
    deepest = max(map(len, paths), default=0)
    best: dict[str, float] = {}
    for depth in range(1, deepest + 1):
        totals: dict[str, float] = {}
        for path, time_us in zip(paths, timed.times_us, strict=True):
            name = ".".join(path[:depth]) or "(no module)"
            totals[name] = totals.get(name, 0.0) + time_us
        if best and len(totals) > MODULE_GROUPS:
            break
        best = totals
    return dict(sorted(best.items(), key=lambda item: (-item[1], item[0])))
