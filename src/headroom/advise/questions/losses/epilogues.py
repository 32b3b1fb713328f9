"""Pointwise layers that ran as kernels of their own, one after the other, where a compiler runs each chain as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.networks import fastest_run, run_error_pct
from headroom.advise.pytorch_lines import REDUCE_OVERHEAD
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import GRAPH_GAP_US, LAUNCH_DELAY_US, saving_error_pct
from headroom.graph.kinds import LayerKind

#: A normalisation's own kernel reads statistics per channel; the compiled chain takes this share of its time.
_OF_A_NORM = 0.6

#: Error of a compiled run's predicted time: all ten networks that were compiled and recorded lie within, eight of them
#: within 15 %; the others run faster than predicted.
COMPILED_ERROR = 0.27


@dataclass(frozen=True, slots=True)
class _Chain:
    """Layers (indices) behind the chain's first that had launches (indices) of their own, and what one kernel takes."""

    layers: tuple[int, ...]
    launches: tuple[int, ...]
    kernel_us: float


def unfused_epilogues(run: Recorded) -> Iterator[Finding]:
    """What torch.compile saves: one kernel for each chain's pointwise layers, all replayed as a CUDA graph."""
    chains = tuple(_chains(run))
    launches = {launch for chain in chains for launch in chain.launches}
    if len(launches) <= len(chains):
        return
    compiled_us, error_us, known = _compiled(run, chains, launches)
    saves_us = run.latency_us - compiled_us
    if saves_us <= 0:
        return
    fused_us = run.replayed_us(launches) - sum(chain.kernel_us + GRAPH_GAP_US for chain in chains)
    others_us = [each.latency_us() - compiled_us for each in run.timelines.other_hosts]
    layers = sorted({layer for chain in chains for layer in chain.layers})
    kinds = sorted({run.case.timed.graph.layers[layer].step for layer in layers})
    yield run.finding(
        kind="unfused_epilogues",
        title=f"{len(launches)} launches for what {counted(len(chains), 'kernel')} could do",
        action=(
            f"Compile the model: {', '.join(kinds)} behind a convolution, product or norm then run as one kernel for "
            f"each chain, which takes {figures.time(max(0.0, fused_us), 100 * COMPILED_ERROR)} less of the GPU's time, "
            f"and all kernels are replayed without the host: {known} "
            f"{figures.time_with_error(compiled_us, 100 * error_us / compiled_us)} in all."
        ),
        layers=layers,
        saved=(saves_us, saving_error_pct(saves_us, others_us, error_us)),
        code=REDUCE_OVERHEAD,
        limits=(
            "torch.compile runs pointwise layers inside a convolution or product only where its own Triton kernel is "
            "the fastest, which it seldom is: one kernel for each chain remains. It compiles anew for every shape."
        ),
    )


def _compiled(run: Recorded, chains: Sequence[_Chain], launches: set[int]) -> tuple[float, float, str]:
    """What the compiled model takes in us, how far off that may be, and how it is known.

    Where this very model was compiled and timed, that says more than a prediction of it.
    """
    timed = fastest_run([each for each in run.case.networks if "compile" in each.mode.split()])
    if timed is not None and timed.median_us:
        return timed.median_us, 0.01 * run_error_pct(timed) * timed.median_us, "measured"
    predicted_us = _compiled_us(run, chains, launches)
    return predicted_us, COMPILED_ERROR * predicted_us, "a predicted"


def _chains(run: Recorded) -> Iterator[_Chain]:
    for chain in run.case.timed.chains:
        anchor = set(run.launches_of(chain[0]))
        behind = {layer: set(run.launches_of(layer)) - anchor for layer in chain[1:]}
        bias = {launch for launch in anchor if _adds_a_bias(run, launch)}
        launches = bias.union(*behind.values())
        if launches:
            layers = tuple(layer for layer, own in behind.items() if own) or (chain[0],)
            yield _Chain(layers, tuple(sorted(launches)), _kernel_us(run, behind, launches))


def _kernel_us(run: Recorded, behind: dict[int, set[int]], launches: set[int]) -> float:
    """What one kernel takes that does it all: as long as the longest pointwise one, which moves the same values."""
    layers = run.case.timed.graph.layers
    pointwise = [
        _longest_us(run, own)
        for layer, own in behind.items()
        if own and layers[layer].kind in {LayerKind.ACTIVATION, LayerKind.ELEMENTWISE}
    ]
    return max(pointwise) if pointwise else _OF_A_NORM * _longest_us(run, launches)


def _longest_us(run: Recorded, launches: set[int]) -> float:
    return max(run.step.launches[launch].duration_us for launch in launches)


def _compiled_us(run: Recorded, chains: Sequence[_Chain], launches: set[int]) -> float:
    """All launches replayed, each chain's as one, pooling by the compiler's own kernels."""
    kept = run.replayed_us(index for index in range(len(run.step.launches)) if index not in launches)
    fused = sum(chain.kernel_us + GRAPH_GAP_US for chain in chains)
    return LAUNCH_DELAY_US + kept + fused - sum(_pooled_us(run, layer) for layer in _pools(run))


def _pools(run: Recorded) -> Iterator[int]:
    for layer, described in enumerate(run.case.timed.graph.layers):
        if described.kind in {LayerKind.POOLING, LayerKind.REDUCTION}:
            yield layer


def _pooled_us(run: Recorded, layer: int) -> float:
    """What a pooling layer took longer than its fastest implementation, which mostly is a compiled one."""
    best_us = run.case.timed.times_us[layer]
    time_us = run.time_us(run.launches_of(layer, alone=True))
    return max(0.0, time_us - best_us) if best_us else 0.0


def _adds_a_bias(run: Recorded, launch: int) -> bool:
    """Whether a convolution's bias is added by this launch: ``add_`` called by the convolution operator."""
    names = [run.step.calls[call].name.rpartition(":")[2] for call in run.chain(launch)]
    return len(names) > 1 and names[-1] == "add_" and "_convolution" in names[:-1]
