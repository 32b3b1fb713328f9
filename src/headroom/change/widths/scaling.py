"""Networks whose width and resolution are both free: larger ones that take no longer (section 5.3 of the paper).

Depth stays as it is: layers run one after the other, so that more of them always take longer. The network is built anew
at each width and resolution by the user's own builder and trained from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headroom.errors import UsageError
from headroom.graph.graph import Graph


class Builder(Protocol):
    """Makes the network: ``width`` multiplies its channels, ``resolution`` is the side of its images in pixels."""

    def __call__(self, width: float, resolution: int) -> tuple[Any, Any]:
        """The module and its example inputs."""
        ...


@dataclass(frozen=True)
class Scaled:
    """A network at a width and a resolution. ``error_pct`` is the error bar of its time."""

    width: float
    resolution: int
    time_us: float
    macs: int
    parameters: int
    error_pct: float = 0.0

    @property
    def flops_per_s(self) -> float:
        """What the paper compares: two flops for each multiply-add, over the latency."""
        return 2e6 * self.macs / self.time_us


#: (time in µs, its error in percent) of a network, measured or predicted.
Timer = Callable[[Any, Any, Graph], tuple[float, float]]


def scaled(
    build: Builder, read: Callable[[Any, Any], Graph], time_of: Timer, sizes: Iterable[tuple[float, int]]
) -> tuple[Scaled, ...]:
    """Build, count and time the network at each (width, resolution).

    Args:
        read: reads module and inputs as a graph, as ``headroom.load`` does.
        time_of: what the network takes; a measurement interleaved with the original is the best there is.
    """
    found = []
    for width, resolution in sizes:
        module, inputs = build(width, resolution)
        graph = read(module, inputs)
        time_us, error_pct = time_of(module, inputs, graph)
        macs = sum(layer.macs for layer in graph.layers)
        parameters = sum(int(each.numel()) for each in module.parameters())
        found.append(Scaled(width, resolution, time_us, macs, parameters, error_pct))
    return tuple(found)


def at_equal_latency(points: Sequence[Scaled], limit_us: float, tolerance: float = 0.01) -> tuple[Scaled, ...]:
    """Those that take at most ``limit_us`` and its ``tolerance``, without any that another one beats.

    One beats another that has no fewer macs and no fewer parameters, and more of one: macs grow with both width and
    resolution, parameters with width alone, and accuracy with both. Most macs come first.

    Raises:
        UsageError: none is fast enough.
    """
    fast = [each for each in points if each.time_us <= limit_us * (1 + tolerance)]
    if not fast:
        raise UsageError(f"no width and resolution takes at most {limit_us:.4g} µs; try smaller ones")
    front = [
        each
        for each in fast
        if not any(
            (other.macs, other.parameters) != (each.macs, each.parameters)
            and other.macs >= each.macs
            and other.parameters >= each.parameters
            for other in fast
        )
    ]
    return tuple(sorted(front, key=lambda each: (-each.macs, -each.parameters)))


def launch_bound(gpu_us: float, launches: int, host_us_per_launch: float) -> float:
    """The latency of a run without a CUDA graph: the GPU waits for the host, or the host for the GPU.

    >>> launch_bound(gpu_us=300.0, launches=240, host_us_per_launch=10.0)
    2400.0
    """
    return max(gpu_us, launches * host_us_per_launch)
