"""A language model's two speeds: reading a prompt at once, and writing one token after another."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.gpu.spec import GpuSpec
from headroom.graph.decode import decode_step
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.predict.error_sums import of_sum
from headroom.predict.model import predict_layers


@dataclass(frozen=True, slots=True)
class Phases:
    """``prefill_us`` is the latency of the model as given, which reads ``tokens`` tokens of ``sequences`` texts at
    once. ``decode_us`` is predicted for one more token of each, all layers one after another, with the keys and values
    of ``tokens`` tokens in a cache of ``cache_bytes``; its weights come from DRAM where they do not all fit in L2.
    """

    tokens: int
    sequences: int
    prefill_us: float
    prefill_error_pct: float
    decode_us: float
    decode_error_pct: float
    cache_bytes: int
    decode_l2: str

    @property
    def prefill_tokens_per_second(self) -> float:
        return 1e6 * self.tokens * self.sequences / self.prefill_us if self.prefill_us else 0.0

    @property
    def decode_tokens_per_second(self) -> float:
        return 1e6 * self.sequences / self.decode_us if self.decode_us else 0.0


def phases_of(
    graph: Graph, gpu: GpuSpec, dtype: DataType, l2_state: str, prefill_us: float, prefill_error_pct: float
) -> Phases | None:
    """Both phases; None for a model that writes no text, or of which a layer of the step is unknown."""
    step = decode_step(graph)
    if step is None:
        return None
    # A step reads every weight once: what exceeds the cache is gone when the next token wants it.
    fits = step.graph.weight_bytes_read(dtype) <= gpu.l2.size_bytes
    state = l2_state if fits else "cold"
    known = step.graph.configurations
    found = predict_layers([c.layer for c in known], gpu, dtype, l2_state=state)
    if any(prediction.time_us is None for prediction in found):
        return None
    times = [(p.time_us or 0.0) * c.count for p, c in zip(found, known, strict=True)]
    decode_us = sum(times)
    bars = [t * (p.error_pct or 0.0) for t, p in zip(times, found, strict=True)]
    error_us = of_sum(sum(bars), sum(bar * bar for bar in bars))
    return Phases(
        tokens=step.tokens,
        sequences=step.sequences,
        prefill_us=prefill_us,
        prefill_error_pct=prefill_error_pct,
        decode_us=decode_us,
        decode_error_pct=error_us / decode_us if decode_us else 0.0,
        cache_bytes=step.cached_elements * dtype.bytes,
        decode_l2=state,
    )
