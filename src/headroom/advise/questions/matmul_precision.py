"""Products that ran in strict fp32 where the data type asked about allows tf32: PyTorch has to be told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.choices import DEFAULT, Choices
from headroom.advise.findings.common import counted
from headroom.advise.kernel_names import Unit, unit_of
from headroom.advise.measurements import REPEATABILITY_PCT
from headroom.advise.picks import Pick
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind


def allowed_products(case: Case, choices: Choices, run: Recorded | None, found: Sequence[Pick]) -> Iterator[Finding]:
    """What PyTorch's own tf32 kernels save of a run whose products stayed off the tensor cores."""
    if run is None:
        return
    change, compared_us, layers = Change(), 0.0, []
    for pick in found:
        after_us = in_tf32_us(case, choices, pick)
        if after_us is None:
            continue
        launches = run.launches_of(pick.layer, alone=True)
        kept = max(launches, key=lambda launch: run.step.launches[launch].duration_us)
        gone = run.without([launch for launch in launches if launch != kept])
        change |= replace(gone, gpu_us={kept: after_us})
        compared_us += pick.time_us + after_us
        layers.append(pick.layer)
    saves_us, error_pct = run.timelines.saves(change)
    if not saves_us:
        return
    yield run.finding(
        kind="matmul_precision",
        title=f"{counted(len(layers), 'product')} ran in strict fp32 where tf32 is allowed",
        action=(
            f"Let PyTorch multiply in tf32, on tensor cores: these products take "
            f"{figures.time(sum(pick.time_us for pick in found if pick.layer in layers), 5.0)} of the GPU's time."
        ),
        layers=layers,
        saved=(saves_us, error_pct + REPEATABILITY_PCT * compared_us / saves_us),
        code='torch.set_float32_matmul_precision("high")',
        limits="tf32 rounds the operands of every product to 10 bits of mantissa; sums stay in fp32.",
    )


def in_tf32_us(case: Case, choices: Choices, pick: Pick) -> float | None:
    """PyTorch's time for a product in tf32, if it ran off the tensor cores and that is faster."""
    if case.timed.graph.layers[pick.layer].kind is LayerKind.CONVOLUTION or unit_of(pick.kernel) is not Unit.CUDA_CORES:
        return None
    row = choices.torch(pick.layer, DEFAULT)
    if row is None or row.median_us is None or row.implementation.math != "tf32" or row.median_us >= pick.time_us:
        return None
    return row.median_us
