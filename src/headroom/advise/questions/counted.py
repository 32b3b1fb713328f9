"""Question 6, from hardware counters: how full tensor cores are in the costliest products, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headroom.advise.case import Case
from headroom.advise.kernel_names import Unit, unit_of_all
from headroom.advise.questions.answer import Table
from headroom.graph.chain import Chain
from headroom.graph.graph import Configuration
from headroom.store.rows import Counters, Timing

#: From this share of its peak on, a unit or a bandwidth is what a kernel waits for: few kernels reach more.
_FULL = 0.6

#: Below this achieved occupancy, kernels that are not persistent have too few warps to hide what they wait for.
_FEW_WARPS = 0.1


@dataclass(frozen=True, slots=True)
class _Counted:
    """The fastest implementation of a configuration that tensor cores run, and what was counted of it."""

    configuration: Configuration
    timing: Timing
    counters: Counters

    def tensor_share(self, case: Case) -> float:
        """Of the peak of tensor cores."""
        flops = self.configuration.layer.work.flops
        return flops / (self._time_us * 1e6 * case.timed.gpu.peak_tflops(case.timed.dtype))

    def l2_share(self, case: Case) -> float:
        """Of the bandwidth of the L2 cache."""
        return self.counters.l2_bytes / (self._time_us * 1e3 * case.timed.gpu.l2.bandwidth_gbs)

    def waits_for(self, case: Case) -> str:
        """What keeps tensor cores from their peak."""
        if self.tensor_share(case) >= _FULL:
            return "nothing: they are full"
        if self.l2_share(case) >= _FULL:
            return "the L2 cache's bandwidth"
        if self.counters.waves < 1:
            return "work: the CTAs fill no wave"
        if self.counters.occupancy < _FEW_WARPS:
            return "warps: too few are in flight"
        return "no bandwidth: latency, or a short product"

    @property
    def _time_us(self) -> float:
        return self.timing.median_us or 1.0


def counted_table(case: Case) -> Table | None:
    """A row per product whose fastest implementation runs on tensor cores and was counted, the costliest first."""
    found = sorted(_counted(case), key=lambda each: -each.configuration.count * (each.timing.median_us or 0.0))
    if not found:
        return None
    return Table(
        title="How full tensor cores are, by hardware counters",
        heads=(
            "layer", "module", "count", "time us", "of their peak pct", "of L2 bandwidth pct", "occupancy pct", "waves",
            "they wait for",
        ),
        rows=tuple(
            (
                each.configuration.layer.name,
                each.configuration.layer.module or None,
                each.configuration.count,
                each.timing.median_us,
                100 * each.tensor_share(case),
                100 * each.l2_share(case),
                100 * each.counters.occupancy,
                each.counters.waves,
                each.waits_for(case),
            )
            for each in found
        ),
        note="Of the fastest implementation of each layer that `headroom measure --counters` counted. The share of the "
        "peak is that of the layer's own multiply-adds over the measured time; a persistent kernel has few warps and "
        "one wave by design.",
    )  # fmt: skip


def _counted(case: Case) -> Iterator[_Counted]:
    if case.measurements is None or case.timed.dtype not in case.timed.gpu.tensor_tflops:
        return
    pairs = [
        (configuration, timing)
        for index, (configuration, _) in enumerate(case.timed.pairs())
        if configuration.layer.kind.computes_gemm
        and (timing := case.timed.timing(index)) is not None
        and unit_of_all([kernel.name for kernel in timing.kernels]) is Unit.TENSOR_CORES
    ]
    chains = [Chain.of([configuration.layer]) for configuration, _ in pairs]
    known: Mapping[str, Sequence[Counters]] = case.measurements.counters(chains, case.timed.dtype)
    for (configuration, timing), chain in zip(pairs, chains, strict=True):
        mine = (each for each in known.get(chain.digest, ()) if each.implementation == timing.implementation)
        counters = next(mine, None)
        if counters is not None:
            yield _Counted(configuration, timing, counters)
