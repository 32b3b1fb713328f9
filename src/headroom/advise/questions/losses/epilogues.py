"""Pointwise layers that ran as kernels of their own behind a kernel that could have done their work as it wrote."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded

#: The kernel that takes over a pointwise layer reads what that layer read beside it (a residual, a scale): of the
#: saving, this share is uncertain.
_TAKEN_OVER_PCT = 20.0


def unfused_epilogues(run: Recorded) -> Iterator[Finding]:
    """Layers of a fusible chain behind its first, with launches of their own; biases of convolutions count as one."""
    graph = run.case.timed.graph
    by_layer = {layer: each for each in run.execution.runs for layer in each.layers}
    gone: set[int] = set()
    for chain in run.case.timed.chains:
        anchor = by_layer.get(chain[0])
        for layer in chain[1:]:
            each = by_layer.get(layer)
            if each is not None and each is not anchor:
                gone |= {*each.launches, *run.beside(each.layers)}
    layers = run.layers(gone)
    bias = {launch for each in run.execution.runs for launch in each.launches if _adds_a_bias(run, launch)}
    saved = run.timelines.saves(run.without(gone | bias)) if gone | bias else (0.0, 0.0)
    if not saved[0]:
        return
    kinds = sorted({graph.layers[layer].step for layer in layers})
    yield run.finding(
        kind="unfused_epilogues",
        title=f"{counted(len(gone | bias), 'launch', 'launches')} of pointwise layers beside the layers before them",
        action=(
            f"Compile the model, so that {', '.join(kinds) or 'biases'} run inside the kernel before them: as kernels "
            f"of their own they take {figures.time(run.time_us(gone | bias))} of the GPU's time"
            + (f", {len(bias)} of them to add the bias of a convolution." if bias else ".")
        ),
        layers=run.layers(gone | bias),
        saved=(saved[0], saved[1] + _TAKEN_OVER_PCT),
        code="model = torch.compile(model, mode='max-autotune-no-cudagraphs')",
        limits=(
            "torch.compile fuses pointwise layers with each other; into a convolution or product it fuses them only "
            "where its own Triton kernel is the fastest, which it seldom is: then one kernel per chain remains."
        ),
    )


def _adds_a_bias(run: Recorded, launch: int) -> bool:
    """Whether a convolution's bias is added by this launch: ``add_`` called by the convolution operator."""
    names = [run.step.calls[call].name.rpartition(":")[2] for call in run.chain(launch)]
    return len(names) > 1 and names[-1] == "add_" and "_convolution" in names[:-1]
