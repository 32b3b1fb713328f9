"""A GPU as Headroom sees it: a sheet of figures, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headroom.graph.tensor import DataType


@dataclass(frozen=True, slots=True)
class MemoryLevel:
    """One level of the memory hierarchy of the whole GPU, at ``GpuSpec.clock_mhz``.

    ``size_bytes`` is over all SMs (for one SM's L1 see ``GpuSpec.l1_bytes_per_sm``). ``bandwidth_gbs`` is what a
    well-written kernel reaches (measured where known, derived by a stated rule where not), in 10^9 bytes per
    second over all SMs; ``latency_ns`` is that of one dependent load.
    """

    size_bytes: int
    bandwidth_gbs: float
    latency_ns: float


@dataclass(frozen=True)
class GpuSpec:
    """A GPU's sheet. Rates are dense and per GPU, at ``clock_mhz`` (the boost clock unless a source says so).

    ``plain_tflops`` and ``tensor_tflops`` give 10^12 flops per second per data type on the two kinds of unit;
    a data type that a unit lacks is absent. Tensor rates accumulate in fp32. ``launch_us`` is what one small kernel
    takes when launched back to back with others. ``sources`` maps each field of the sheet (``l2_bandwidth_gbs``,
    ``tensor_tflops.bf16``; the names are those of :data:`headroom.gpu.schema.FIELDS`) to where its value comes
    from; ``derived`` names those that follow from a stated rule rather than from a source. ``notes`` say where
    published figures disagree and which was taken.
    """

    id: str
    name: str
    architecture: str
    compute_capability: str
    sms: int
    clock_mhz: float
    memory_bytes: int
    plain_tflops: Mapping[DataType, float]
    tensor_tflops: Mapping[DataType, float]
    dram: MemoryLevel
    dram_peak_gbs: float
    l2: MemoryLevel
    l1: MemoryLevel
    shared: MemoryLevel
    registers_per_sm: int
    registers_per_thread: int
    shared_bytes_per_sm: int
    shared_bytes_per_cta: int
    max_warps_per_sm: int
    max_ctas_per_sm: int
    launch_us: float
    driver_names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    derived: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def l1_bytes_per_sm(self) -> int:
        """L1 of one SM; from Volta on the pool that shared memory is carved from."""
        return self.l1.size_bytes // self.sms

    def supports(self, dtype: DataType) -> bool:
        """Whether some unit multiplies this data type."""
        return dtype in self.plain_tflops or dtype in self.tensor_tflops

    def peak_tflops(self, dtype: DataType, *, tensor: bool = True) -> float:
        """The fastest dense rate for ``dtype``; ``tensor=False`` for work that has no matrix product.

        Plain arithmetic on a data type without plain units (fp8, bf16 on some GPUs), or with slower ones (fp16 at
        1/64 on most Pascal boards), runs in fp32: kernels convert on load, which is what the libraries do.
        """
        plain = max(self.plain_tflops.get(dtype, 0.0), self.plain_tflops[DataType.FP32])
        return max(plain, self.tensor_tflops.get(dtype, 0.0)) if tensor else plain

    def rows(self, which: slice) -> GpuSpec:
        """The GPU of some rows of a table: this one, which stands for all rows."""
        return self

    def multiplies_on_tensor_cores(self, dtype: DataType) -> bool:
        """Whether matrix products of ``dtype`` run on tensor cores: those are there, and faster than plain units."""
        return self.tensor_tflops.get(dtype, 0.0) > self.plain_tflops.get(dtype, 0.0)
