"""Memory is filled before kernels that add into it: split sums, unset workspaces, tensors made by the model's code."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.pytorch_lines import SEARCH
from headroom.advise.questions.losses.spared import spared_launches
from headroom.advise.recorded import Recorded
from headroom.graph.kinds import LayerKind

_OWN = frozenset({"zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "fill_", "zero_", "arange"})


def fills(run: Recorded) -> Iterator[Finding]:
    """What cuDNN's kernels need cleared, and what the model's code fills; nothing spares what cuBLAS clears."""
    launches = run.extras("fill")
    own = [launch for launch in launches if run.operator(launch) in _OWN]
    graph = run.case.timed.graph
    cleared = [
        launch
        for launch in launches
        if any(graph.layers[layer].kind is LayerKind.CONVOLUTION for layer in run.layers_of.get(launch, ()))
        and launch not in own
    ]
    for found, what, action, code, limits in (
        (
            own,
            "tensors that the model's code makes anew",
            "Make constant tensors once, outside of forward",
            "self.register_buffer('mask', torch.zeros(shape))  # in __init__",
            "A tensor that is written to has to be filled anew.",
        ),
        (
            cleared,
            "outputs that convolutions add into",
            "Let cuDNN choose by timing: kernels that add up partial sums need a cleared output, others do not",
            SEARCH,
            "The kernel that needs no fill may be slower, and then the search keeps the fill.",
        ),
    ):
        yield from spared_launches(
            run,
            kind="fills",
            title=f"{counted(len(found), 'fill')} of {what}",
            action=f"{action}; they take {figures.time(run.time_us(found))} of the GPU's time.",
            launches=found,
            code=code,
            limits=limits,
        )
