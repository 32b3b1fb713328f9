"""What the fastest implementation of every layer would gain, beyond what any setting of the framework reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.findings.common import counted
from headroom.advise.kernel_names import Unit, unit_of
from headroom.advise.measurements import REPEATABILITY_PCT, implementation_text
from headroom.advise.picks import Pick
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind
from headroom.predict.prediction import Source

#: A plan that is this much faster is not the noise of two measurements.
_WORTH = 1.05

_PRECISION = "torch.set_float32_matmul_precision('high')\n"
_COMPILE = "model = torch.compile(model, mode='max-autotune')"


def pinned_plans(case: Case, run: Recorded | None, found: Sequence[Pick]) -> Iterator[Finding]:
    """One finding: every layer by its fastest plan, the plans named."""
    losing = [pick for pick in found if pick.time_us > _WORTH * pick.best_us]
    saves_us, error_pct = _saved(run, losing)
    if saves_us <= 0:
        return
    worst = max(losing, key=lambda pick: pick.loss_us)
    layer = case.timed.graph.layers[worst.layer]
    whole_us = run.latency_us if run else case.timed.sequential_us + sum(pick.loss_us for pick in found)
    yield Finding(
        kind="best_plans",
        title=f"{counted(len(losing), 'layer')} could run by a faster plan",
        saves_us=saves_us,
        error_pct=error_pct,
        speedup=whole_us / (whole_us - saves_us) if saves_us < whole_us else 1.0,
        layers=case.timed.names([pick.layer for pick in losing]),
        modules=case.timed.modules([pick.layer for pick in losing]),
        action=(
            f"Pin the fastest plan of each layer: {layer.name} takes {figures.time(worst.time_us, 3.0)} and "
            f"{figures.time(worst.best_us, 3.0)} by {implementation_text(worst.best.implementation)}; torch.compile's "
            f"search comes nearest to that."
        ),
        source=Source.PREDICTED if run else Source.MEASURED,
        limits=(
            "PyTorch cannot be told which cuDNN plan or cuBLASLt algorithm to run; a custom operator over the cuDNN "
            "frontend can, by the plan's name. Plans of another layout need their neighbours in that layout."
        ),
        code=_PRECISION + _COMPILE if any(_keeps_fp32(case, pick) for pick in losing) else _COMPILE,
    )


def _keeps_fp32(case: Case, pick: Pick) -> bool:
    """Whether a product ran off the tensor cores though its fastest plan, in tf32, is on them."""
    return (
        case.timed.graph.layers[pick.layer].kind is not LayerKind.CONVOLUTION
        and pick.best.implementation.math == "tf32"
        and unit_of(pick.kernel) is Unit.CUDA_CORES
    )


def _saved(run: Recorded | None, losing: Sequence[Pick]) -> tuple[float, float]:
    if run is None:
        lost_us, compared_us = sum(pick.loss_us for pick in losing), sum(pick.time_us + pick.best_us for pick in losing)
        return lost_us, REPEATABILITY_PCT * compared_us / lost_us if lost_us else 0.0
    change = Change()
    for pick in losing:
        launches = run.launches_of(pick.layer, alone=True)
        kept = max(launches, key=lambda launch: run.step.launches[launch].duration_us)
        gone = run.without([launch for launch in launches if launch != kept])
        change |= replace(gone, gpu_us={kept: pick.best_us})
    saves_us, error_pct = run.timelines.saves(change)
    compared_us = sum(pick.time_us + pick.best_us for pick in losing)
    return saves_us, error_pct + (REPEATABILITY_PCT * compared_us / saves_us if saves_us else 0.0)
