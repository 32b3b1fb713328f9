"""Attention that ran as products, a softmax and copies where one fused kernel computes all of it."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change

_SDPA = """\
from torch.nn.attention import SDPBackend, sdpa_kernel

with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]):
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v)  # no mask where all tokens count"""


def composed_attention(run: Recorded) -> Iterator[Finding]:
    """What the fused kernel's time (measured where there is a row) leaves of the launches that ran."""
    timed = run.case.timed
    change = Change()
    composed = {layer: each | casts_behind(run, layer) for layer, each in run.composed.items()}
    for layer, each in composed.items():
        change |= _fused(run, sorted(each), timed.times_us[layer])
    saved = run.timelines.saves(change) if run.composed else (0.0, 0.0)
    if not saved[0]:
        return
    launches = [launch for each in composed.values() for launch in each]
    yield run.finding(
        kind="composed_attention",
        title=f"{counted(len(run.composed), 'attention layer')} ran as {len(launches)} launches",
        action=(
            f"Let scaled_dot_product_attention run fused: pass no mask where every token counts, or a boolean one, in "
            f"bf16 or fp16; the composed kernels take {figures.time(run.time_us(launches))} of the GPU's time."
        ),
        layers=sorted(run.composed),
        saved=(saved[0], saved[1] + timed.error_pct(run.composed)),
        code=_SDPA,
        limits="Fused kernels take no mask of every form: while a CUDA graph is captured PyTorch cannot look whether a "
        "mask is empty, so leave the mask out there.",
    )


def casts_behind(run: Recorded, layer: int) -> frozenset[int]:
    """Launches (indices) that cast what a composed attention returns back to the model's type, before it is read."""
    before = run.case.timed.graph.predecessors
    casts = (each for each in run.execution.others if each.purpose == "cast" and each.near is not None)
    return frozenset(launch for each in casts if layer in before[each.near or 0] for launch in each.launches)


def _fused(run: Recorded, launches: list[int], fused_us: float) -> Change:
    """All launches but one gone, and that one as long as the fused kernel."""
    kept, *gone = launches
    change = run.without(gone)
    return Change(change.launches, change.host, {kept: fused_us}, change.waits)
