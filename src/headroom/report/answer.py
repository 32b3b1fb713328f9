"""An analysis as a dictionary: the JSON contract, and what every other output is compared with.

The keys and their meaning are published in ``schema/analysis-1.json``. The same analysis gives the same
bytes: order is that of the model, floats keep six significant digits, nothing depends on time or machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headroom._version import __version__
from headroom.advise.analysis import Analysis, Bounds, LayerAnswer
from headroom.advise.measurements import usable
from headroom.advise.networks import run_error_pct
from headroom.advise.phases import Phases
from headroom.figures import rounded, whole
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source
from headroom.report.answer_questions import finding_dict, profile_dict, question_dict
from headroom.report.kernels import kernel_dicts
from headroom.report.shapes import shape_text
from headroom.report.your_run import RunTime, run_times
from headroom.store.rows import NetworkTiming
from headroom.text import clean, clean_all

#: Raised when a key changes its meaning or goes; a new key does not raise it.
SCHEMA_VERSION = 1

#: From the figure one trusts most to the one one trusts least.
_BY_TRUST = (Source.MEASURED, Source.INTERPOLATED, Source.PREDICTED, Source.UNKNOWN)


def to_dict(analysis: Analysis) -> dict[str, Any]:
    """The whole answer, per the published schema. Numbers are finite; text is free of control characters."""
    return {
        "schema_version": SCHEMA_VERSION,
        "headroom_version": __version__,
        "model": clean(analysis.model),
        "gpu": clean(analysis.gpu.id),
        "gpu_name": clean(analysis.gpu.name),
        "system": None if analysis.system is None else clean(analysis.system),
        "batch": analysis.batch,
        "dtype": analysis.dtype.value,
        "l2": analysis.l2_state,
        "direction": analysis.direction,
        "calibration": clean(analysis.calibration),
        "verdict": clean(analysis.verdict),
        "measured_us": rounded(analysis.measured_us),
        "measured_error_pct": None if analysis.measured_us is None else rounded(analysis.measured_error_pct),
        "networks": [_network(run) for run in analysis.networks],
        "macs": analysis.macs,
        "flops": analysis.flops,
        "bounds": _bounds(analysis.bounds, overall_source(analysis)),
        "findings": [finding_dict(finding) for finding in analysis.findings],
        "questions": [question_dict(question) for question in analysis.questions],
        "profile": None if analysis.execution is None else profile_dict(analysis.execution),
        "coverage": {
            "known_share": rounded(analysis.coverage.known_share),
            "known_macs_share": rounded(analysis.coverage.known_macs_share),
            "unknown_layers": clean_all(analysis.coverage.unknown_layers),
            "measured_layers": analysis.measured_layers,
            "measured_time_share": rounded(analysis.measured_time_share),
        },
        "memory_bytes": {
            "weights": analysis.memory.weights,
            "peak_activations": analysis.memory.peak_activations,
            "gpu": analysis.memory.gpu,
            "fits": analysis.memory.fits,
        },
        "time_by_kind": _times(analysis.time_by_kind),
        "time_by_module": _times(analysis.time_by_module),
        "time_by_bottleneck": _times(analysis.time_by_bottleneck),
        "layers": _layers(analysis),
        "fused_chains": _chains(analysis),
        "phases": _phases(analysis.phases),
        "notes": clean_all(analysis.notes),
    }


def _phases(phases: Phases | None) -> dict[str, Any] | None:
    if phases is None:
        return None
    return {
        "tokens": phases.tokens,
        "sequences": phases.sequences,
        "prefill_us": rounded(phases.prefill_us),
        "prefill_error_pct": rounded(phases.prefill_error_pct),
        "prefill_tokens_per_s": rounded(phases.prefill_tokens_per_second),
        "decode_us": rounded(phases.decode_us),
        "decode_error_pct": rounded(phases.decode_error_pct),
        "decode_tokens_per_s": rounded(phases.decode_tokens_per_second),
        "decode_l2": phases.decode_l2,
        "cache_bytes": phases.cache_bytes,
    }


def to_json(analyses: Sequence[Analysis]) -> str:
    """The text of a JSON file: one object for one analysis, a list of them for several."""
    answers = [to_dict(analysis) for analysis in analyses]
    document = answers[0] if len(answers) == 1 else answers
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def overall_source(analysis: Analysis) -> Source:
    """Where the totals come from: the least trusted source among the layers that have a time.

    A total of 99 measured layers and one predicted layer is a prediction.
    """
    present = {answer.prediction.source for answer in analysis.answers if answer.prediction.time_us is not None}
    return max(present, key=_BY_TRUST.index, default=Source.UNKNOWN)


def _bounds(bounds: Bounds, source: Source) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value_us, error_pct in (
        ("sequential", bounds.sequential_us, bounds.sequential_error_pct),
        ("parallel", bounds.parallel_us, bounds.parallel_error_pct),
        ("fused", bounds.fused_us, bounds.fused_error_pct),
        ("speed_of_light", bounds.speed_of_light_us, bounds.speed_of_light_error_pct),
    ):
        result[f"{name}_us"] = rounded(value_us)
        # Two spellings of one figure: the contract's suffix on the whole key, and the library's attribute.
        result[f"{name}_us_error_pct"] = result[f"{name}_error_pct"] = rounded(error_pct)
    result["source"] = source.value
    result["fused_measured_share"] = rounded(bounds.fused_measured_share)
    result["unknown_share"] = rounded(bounds.unknown_share)
    result["unknown_macs_share"] = rounded(bounds.unknown_macs_share)
    return result


def _layers(analysis: Analysis) -> list[dict[str, Any]]:
    ran = run_times(analysis)
    return [_layer(answer, analysis.dtype, ran.get(position)) for position, answer in enumerate(analysis.answers)]


def _layer(answer: LayerAnswer, dtype: DataType, ran: RunTime | None) -> dict[str, Any]:
    """One configuration: every figure is for one occurrence, ``count`` says how many there are."""
    layer, prediction, timing = answer.layer, answer.prediction, answer.timing
    modules = clean_all(answer.modules)
    return {
        "name": clean(layer.name),
        "kind": layer.kind.value,
        "operator": clean(layer.operator),
        "module": clean(layer.module) or (modules[0] if modules else ""),
        "count": answer.count,
        "names": clean_all(answer.names),
        "modules": modules,
        "shape": shape_text(layer),
        "macs": layer.macs,
        "flops": layer.flops,
        "bytes": layer.bytes(dtype),
        "time_us": rounded(prediction.time_us),
        "error_pct": rounded(prediction.error_pct),
        "source": prediction.source.value,
        "predicted_us": rounded(answer.predicted_us),
        "run_us": None if ran is None or ran.total_us is None else rounded(ran.total_us / answer.count),
        "run_inside": "" if ran is None else clean(ran.inside),
        "run_beside": [] if ran is None else clean_all(ran.beside),
        "samples": None if timing is None else timing.samples,
        "iqr_us": None if timing is None else rounded(timing.iqr_us),
        "noisy": answer.is_noisy,
        "traffic_source": answer.traffic_source.value,
        "bottleneck": prediction.bottleneck.value,
        "floor_us": rounded(prediction.floor_us),
        "l1_bytes": whole(prediction.l1_bytes),
        "l2_bytes": whole(prediction.l2_bytes),
        "dram_bytes": whole(prediction.dram_bytes),
        "implementation": clean(prediction.algorithm),
        "kernels": kernel_dicts(answer),
        "tile": None if prediction.tile is None else list(prediction.tile),
        "ctas": prediction.ctas,
        "waves": rounded(prediction.waves),
        "tail_utilization": rounded(prediction.tail_utilization),
        "notes": clean_all(prediction.notes),
    }


def _chains(analysis: Analysis) -> list[dict[str, Any]]:
    """The chains that the fused bound runs in fewer kernels, in the order of the model."""
    names = {
        index: name for answer in analysis.answers for index, name in zip(answer.indices, answer.names, strict=True)
    }
    return [
        {
            "layers": clean_all([names[index] for index in group.layers]),
            "time_us": rounded(group.fused_us),
            "error_pct": rounded(group.error_pct),
            "source": group.source.value,
            "unfused_us": rounded(group.unfused_us),
            "kernels": len(group.parts),
            "implementations": clean_all(group.implementations),
        }
        for group in analysis.fused
    ]


def _network(run: NetworkTiming) -> dict[str, Any]:
    """The whole model as one framework ran it; what gave no good time says why, and has no figures."""
    good = usable(run)
    return {
        "mode": clean(run.mode),
        "status": run.status.value,
        "reason": clean(run.reason),
        "time_us": rounded(run.median_us) if good else None,
        "error_pct": rounded(run_error_pct(run)) if good else None,
        "iqr_us": rounded(run.iqr_us) if good else None,
        "samples": run.samples if good else 0,
        "energy_mj": rounded(run.energy_mj) if good else None,
        "peak_bytes": run.peak_bytes if good else None,
        "measured_at": clean(run.measured_at),
    }


def _times(times_us: Mapping[str, float]) -> dict[str, float | None]:
    """Largest first; equal times in the order of their names, so that the order never depends on chance."""
    sums: dict[str, float] = {}
    for name, time_us in times_us.items():
        # Two names may be one once cleaned; neither's time may go missing.
        sums[clean(name)] = sums.get(clean(name), 0.0) + time_us
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return {name: rounded(time_us) for name, time_us in ordered}
