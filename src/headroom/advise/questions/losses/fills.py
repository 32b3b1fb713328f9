"""Memory is filled before kernels that add into it: split sums, unset workspaces, zeroed outputs."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded


def fills(run: Recorded) -> Iterator[Finding]:
    """The fills of libraries' own kernels, and those of the model's code."""
    launches = run.extras("fill")
    saved = run.timelines.saves(run.without(launches)) if launches else (0.0, 0.0)
    if not saved[0]:
        return
    yield run.finding(
        kind="fills",
        title=f"{counted(len(launches), 'fill')} of memory in every inference",
        action=(
            f"Let cuDNN choose by timing: a kernel that adds up partial sums needs a cleared output, others do not; "
            f"tensors that your own code fills (torch.zeros) belong outside of the call. All take "
            f"{figures.time(run.time_us(launches))} of the GPU's time."
        ),
        layers=run.layers(launches),
        saved=saved,
        code="torch.backends.cudnn.benchmark = True\ntorch.backends.cudnn.benchmark_limit = 0",
        limits="The kernel that needs no fill may itself be slower; cuBLAS offers no such setting.",
    )
