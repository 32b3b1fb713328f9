"""Compiling and capturing are one remedy in two steps: what each saves is counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headroom.advise.analysis import Finding
from headroom.advise.findings.common import CERTAIN_PCT
from headroom.advise.questions.losses.epilogues import COMPILED_ERROR
from headroom.advise.recorded import Recorded


def beyond_the_graph(run: Recorded, found: Sequence[Finding]) -> list[Finding]:
    """``found`` (each worth a line), that of compiling less what a CUDA graph saves already.

    A compiled model is replayed as a graph too. That the GPU no longer waits for the host is the graph's saving, so
    that the largest finding names the cause; a compiled model's is what its fewer kernels take less.
    """
    graph = next((finding for finding in found if finding.kind == "launch_gaps"), None)
    if graph is None:
        return list(found)
    split = (_less(run, each, graph.saves_us) if each.kind == "unfused_epilogues" else each for each in found)
    return list(split)


def _less(run: Recorded, compiled: Finding, graph_us: float) -> Finding:
    """What compiling saves of the run that is replayed already; how fast the host is does not matter there."""
    saves_us = compiled.saves_us - graph_us
    if saves_us <= 0:
        return replace(compiled, saves_us=0.0, error_pct=CERTAIN_PCT, speedup=1.0)
    error_us = min(compiled.saves_us * compiled.error_pct / 100, COMPILED_ERROR * (run.latency_us - compiled.saves_us))
    return replace(
        compiled,
        saves_us=saves_us,
        error_pct=100 * error_us / saves_us,
        speedup=run.latency_us / (run.latency_us - saves_us),
        action=f"{compiled.action} The saving is what that gives beyond a CUDA graph of the kernels as they are.",
    )
