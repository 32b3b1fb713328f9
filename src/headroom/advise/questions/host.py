"""Whether the model waits for the host: in the user's run, else by the same network run in two ways."""

from __future__ import annotations

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.findings.common import CERTAIN_PCT
from headroom.advise.measurements import usable
from headroom.advise.networks import run_error_pct
from headroom.advise.questions.losses.host import CUDA_GRAPH, host_bound
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import HOST_ERROR
from headroom.predict.prediction import Source
from headroom.store.rows import NetworkTiming

Pair = tuple[NetworkTiming, NetworkTiming]

#: Ways of running that ask for launches one by one, and that replay them.
_EAGER, _REPLAYED = ("channels-last", "eager"), ("channels-last cuda-graph", "cuda-graph")

#: A run that takes this much longer than its launches replayed waits for the host.
_WAITS = 1.1


def run_in_two_ways(case: Case) -> Pair | None:
    """The same network run launch by launch and replayed, where both were measured."""
    good = {run.mode: run for run in case.networks if usable(run)}
    for eager, replayed in zip(_EAGER, _REPLAYED, strict=True):
        if eager in good and replayed in good:
            return good[eager], good[replayed]
    return None


def waits_for_the_host(eager: NetworkTiming, replayed: NetworkTiming) -> bool:
    """Whether the run launch by launch takes so much longer that launches are what it waits for."""
    return (eager.median_us or 0.0) > _WAITS * (replayed.median_us or 0.0)


def host_sentence(run: Recorded | None, pair: Pair | None) -> str:
    """Who sets the pace, in words; empty where nothing tells."""
    if run is not None:
        busy_us, latency_us = run.step.gpu_busy_us, run.latency_us
        error_pct = 100 * run.timelines.error_us / latency_us
        share = f"the GPU is busy for {figures.time(busy_us)} of {figures.time(latency_us, error_pct)}"
        if run.timelines.is_host_bound and not run.is_graph:
            return f"Your run waits for the host: {share}. {_remedy(run)}"
        return f"Your run does not wait for the host: {share}."
    if pair is None:
        return ""
    eager, replayed = pair
    times = (
        f"{figures.time_with_error(eager.median_us, run_error_pct(eager))} launch by launch and "
        f"{figures.time_with_error(replayed.median_us, run_error_pct(replayed))} as a replayed CUDA graph"
    )
    if waits_for_the_host(eager, replayed):
        return f"Run by PyTorch launch by launch, the model waits for the host: measured {times}."
    return f"The host keeps up: measured {times}."


def _remedy(run: Recorded) -> str:
    """Where the remedy stands; what a replay takes may be too unsure for a finding."""
    if any(finding.error_pct < CERTAIN_PCT for finding in host_bound(run)):
        return "Question 4 says what to do."
    return "A CUDA graph would end that, but what your run takes replayed is not known well enough to promise a gain."


def host_finding(case: Case, eager: NetworkTiming, replayed: NetworkTiming) -> Finding:
    """What replaying saves: it comes off the run launch by launch, which the title names."""
    before_us, after_us = eager.median_us or 0.0, replayed.median_us or 0.0
    saves_us = before_us - after_us
    bar_us = before_us * max(HOST_ERROR, 0.01 * run_error_pct(eager)) + 0.01 * after_us * run_error_pct(replayed)
    layers = tuple(index for index, layer in enumerate(case.timed.graph.layers) if layer.kind.does_work)
    return Finding(
        kind="host",
        title=f"Run launch by launch ({eager.mode}), the model waits for the host",
        saves_us=saves_us,
        error_pct=100 * bar_us / saves_us if saves_us > 0 else 100.0,
        speedup=before_us / after_us if saves_us > 0 else 1.0,
        layers=case.timed.names(layers),
        modules=case.timed.modules(layers),
        action=f"Replay the model as a CUDA graph: {figures.time(before_us)} measured launch by launch, "
        f"{figures.time(after_us)} replayed. torch.compile in its reduce-overhead mode captures one and fuses as well.",
        source=Source.MEASURED,
        limits="Nothing, where the model is replayed or compiled so already; the host is that of the machine which was "
        "measured, another is faster or slower. Shapes must not change between replays, and inputs are copied into "
        "the graph's own.",
        code=CUDA_GRAPH,
    )
