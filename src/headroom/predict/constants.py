"""The constants that turn a GPU's sheet into times, as the calibration file holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType

Floats = NDArray[np.float64]

#: GPUs whose last-level cache is two halves, each for the SMs beside it, so that shared data is there twice (A100
#: whitepaper). Hopper's is too, but its constants are fitted on itself.
_HALVED_CACHES = ("8.0",)

#: Bytes of others' results in the cache of the GPU that a cold cache was timed on: all that it holds.
_LEFT_BYTES = 50.0 * 2**20

#: Sorts of kernels that are special cases of another sort: what is not known of them is taken from it.
GENERAL_SORT = {
    "costly activation": "activation",
    "layer normalization": "normalization",
    "response normalization": "normalization",
    "global pooling": "pooling",
    "column reduction": "reduction",
    "grouped": "convolution",
    "vector": "convolution",
    "stem": "convolution",
    "unaligned": "convolution",
    "pointwise": "convolution",
    "biased": "convolution",
    "fused transform": "transformed",
    "narrow": "matmul",
    "deep": "matmul",
    "batched": "matmul",
}


@dataclass(frozen=True, slots=True)
class GemmConstants:
    """Constants of the tile model for one kind of multiplier (``plain`` or ``tensor``).

    ``efficiency`` maps an architecture family to the share of peak that the main loop of a full SM reaches with
    128x128 tiles; ``typical`` is the entry for a family without a table. The other fields are shared by all
    families of a set: ``launch_factor`` is the shortest kernel in units of the sheet's; ``half_warps`` warps
    reach half the SM's rate; ``edge_cost`` is the extra main-loop time per unit of ``1/tile_m + 1/tile_n``
    (operand traffic from shared memory); ``round_latencies`` counts exposed DRAM latencies per round of CTAs
    (prologue and epilogue); ``slice_ns`` is the shortest time of a CTA for 64 bytes of K, which waits on its
    loads however small the tile (DeLTA, equation 17); ``dram_share`` and ``l2_share`` are the shares of the
    sheet's bandwidths that a GEMM's loads reach; ``cache_share`` is the share of the last-level cache that a
    cyclic sweep can use; ``wide_handicap`` is how much faster a 128-wide plain tile must look before the
    library takes it; ``cluster`` CTAs share the loads of one operand (thread-block clusters with multicast,
    compute capability 9.0); ``gather_wait`` lengthens ``slice_ns`` for every further tap in a row of a filter,
    whose addresses each step works out anew; ``split_launches`` is what dividing K adds, in launches: the
    parts' results are summed at the end; ``channel_bytes`` of a filter tap's channels are one step of K, the last one
    filled up with zeros; ``step_cycles``, ``output_cycles`` and ``torn_writes`` (bytes moved besides, per byte of a
    torn row of results) are the costs of :mod:`.cta_costs`; ``draw_share`` of what its L1 takes is the most that an SM
    draws from the L2, so that few busy ones do not draw all that it delivers; ``batched_tiles`` are those that the
    library was seen to take for batches of products (``64x128``: m by n), by family. A cold cache adds ``cold_us`` (the
    first loads' further way), ``cold_slice_ns`` per 64 bytes of K (weights that nobody has loaded yet) and
    ``written_back`` as in :class:`StreamConstants`.
    """

    efficiency: Mapping[str, float]
    launch_factor: float
    half_warps: float
    edge_cost: float
    round_latencies: float
    slice_ns: float
    dram_share: float
    l2_share: float
    cache_share: float
    wide_handicap: float
    cluster: float = 1.0
    gather_wait: float = 0.0
    split_launches: float = 0.5
    channel_bytes: float = 0.0
    cold_us: float = 0.0
    cold_slice_ns: float = 0.0
    written_back: float = 0.0
    step_cycles: float = 0.0
    output_cycles: float = 0.0
    torn_writes: float = 0.0
    draw_share: float = 0.0
    batched_tiles: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def efficiency_on(self, gpu: GpuSpec) -> float:
        family = family_of(gpu)
        return self.efficiency[family if family in self.efficiency else "typical"]

    def launch_us_on(self, gpu: GpuSpec) -> float:
        return self.launch_factor * gpu.launch_us

    def cache_share_on(self, gpu: GpuSpec) -> float:
        """``cache_share``, half of it where both halves of the cache keep what all SMs read."""
        return self.cache_share / (2.0 if gpu.compute_capability in _HALVED_CACHES else 1.0)


@dataclass(frozen=True, slots=True)
class AttentionConstants:
    """Fused attention: ``start_launches``, what a launch with its first and last step takes in units of the sheet's
    launch, ``decode_launches`` the same for a few queries; ``round_latencies``, the exposed DRAM latencies per
    round of CTAs; ``matrix_share``, the share of the peak rate of matrix products, and ``exponential_share``, that of
    the special-function units; ``dram_share``, ``l2_share`` and ``cache_share`` as in :class:`GemmConstants`.
    """

    start_launches: float
    decode_launches: float
    round_latencies: float
    matrix_share: float
    exponential_share: float
    dram_share: float
    l2_share: float
    cache_share: float


@dataclass(frozen=True, slots=True)
class TransformConstants:
    """Winograd's and the FFT's kernels in fp32.

    ``fused_efficiency`` is the share of the peak rate that the fused Winograd kernel's multiplications reach on a full
    SM, by family (``typical`` elsewhere; the transforms inside it take the rest); ``round_latencies`` as in
    :class:`GemmConstants`; ``data_factor`` is what a kernel that transforms the input or the output takes in units of a
    perfect copy of its bytes, and ``start_us`` what it takes besides; ``filter_flops`` per transformed value are what
    the kernel that transforms the filters costs: it is limited by its instructions, few of which are arithmetic.
    ``algorithms`` are those that the library was seen to run, by cuDNN's names.
    """

    fused_efficiency: Mapping[str, float]
    round_latencies: float
    data_factor: float
    start_us: float
    filter_flops: float
    algorithms: Sequence[str] = ("WINOGRAD", "WINOGRAD_NONFUSED", "FFT", "FFT_TILING")


@dataclass(frozen=True, slots=True)
class KernelCost:
    """What one sort of streaming kernel costs beside a perfect copy of its bytes.

    ``factor`` times the bytes; ``start_us`` once per launch, and ``tap_us`` for every value that an output gathers
    (window or filter) in turn; ``value_cycles`` of an SM per value and tap; ``group_cycles`` of an SM per
    row that is reduced on its own.
    """

    factor: float = 1.0
    start_us: float = 0.0
    tap_us: float = 0.0
    value_cycles: float = 0.0
    group_cycles: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamConstants:
    """Constants of the streaming model: ``launch_factor``, an empty kernel in units of the sheet's; ``dram_share``
    and ``l2_share`` of the sheet's bandwidths in steady state (the sheet's are for reading alone; mixed streams
    may reach more); ``ramp_us``, what every dependent sweep adds while its loads are not yet in flight;
    ``cache_share``, the share of the last-level cache that stays warm; the kernels' costs by sort, on
    the families whose kernels were measured (elsewhere they count as perfect copies); and what a cold cache
    adds: ``cold_us``, the first loads' further way, and ``written_back``, the DRAM time per byte of what
    others left in the cache (:func:`left_behind`) and is written back besides, in units of moving it once.
    """

    launch_factor: float
    ramp_us: float
    dram_share: float
    l2_share: float
    cache_share: float
    kernels: Mapping[str, KernelCost]
    families: Sequence[str]
    cold_us: float = 0.0
    written_back: float = 0.0

    def cost_on(self, gpu: GpuSpec, sort: str) -> KernelCost:
        if family_of(gpu) not in self.families:
            return KernelCost()
        known = sort if sort in self.kernels else GENERAL_SORT.get(sort, sort)
        return self.kernels.get(known, KernelCost())

    def launch_us_on(self, gpu: GpuSpec) -> float:
        return self.launch_factor * gpu.launch_us


def left_behind(dram_bytes: Floats) -> Floats:
    """Share of the bytes moved that push others' results out of a cold cache.

    How much there is to push out follows from what ran before, not from the cache: the bytes are those that an H200's
    cache held when a cold cache was timed on it. A larger one, left alike, has no more to write back.
    """
    share: Floats = np.minimum(1.0, _LEFT_BYTES / np.maximum(1.0, dram_bytes))
    return share


def family_of(gpu: GpuSpec) -> str:
    """The architecture's name as the calibration file spells it."""
    return gpu.architecture.lower()


def unit_of(gpu: GpuSpec, dtype: DataType) -> str:
    """The multiplier that runs matrix products of ``dtype``: ``tensor`` or ``plain``."""
    return "tensor" if gpu.multiplies_on_tensor_cores(dtype) else "plain"
