"""Every kernel in this folder, with the least compute capability that has its instructions.

NVRTC 13 compiles for 7.5 and later. A kernel with a ``feature_suffix`` uses instructions of one architecture alone
(``a``: sm_90a and no other), which its cubin cannot leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Capability = tuple[int, int]

#: Compute capabilities that kernels are compiled for without a GPU, oldest first.
CAPABILITIES: tuple[Capability, ...] = (
    (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0),
)  # fmt: skip

#: Numbers that kernels and their callers share; NVRTC gets each as a macro.
CONSTANTS: Mapping[str, int] = {
    # Independent 16-byte loads per thread and batch. Even half of them in flight, with 1,536 threads per SM, are
    # 96 KiB, several times what bandwidth times latency asks for.
    "LOADS": 8,
    # Shared memory that is read round and round: a CTA gets this much without asking.
    "SHARED_BYTES": 32768,
    # Hops of a chase that keeps two words per hop in shared memory.
    "MOST_HOPS": 4096,
    # Independent chains of arithmetic per thread or warp: they cover the pipeline's depth on every architecture.
    "CHAINS": 8,
    # bf16 counts exactly to 256.
    "FMA_STEPS": 128,
    # 32 products of small integers stay below the 2^13 that Hopper's fp8 sums hold exactly.
    "MMA_STEPS": 32,
}


@dataclass(frozen=True, slots=True)
class KernelSource:
    """A kernel: its entry point, the file it is in, and what it needs."""

    name: str
    file: str
    minimum: Capability = (7, 5)
    feature_suffix: str = ""

    def runs_on(self, capability: Capability) -> bool:
        """Whether a GPU of this compute capability has the kernel's instructions."""
        return capability == self.minimum if self.feature_suffix else capability >= self.minimum

    def target(self, capability: Capability) -> str:
        """What NVRTC calls the architecture: ``sm_90a``."""
        major, minor = capability
        return f"sm_{major}{minor}{self.feature_suffix}"


_SOURCES = (
    KernelSource("empty", "empty.cu"),
    KernelSource("spin", "spin.cu"),
    KernelSource("write_to", "illegal.cu"),
    KernelSource("read_l1", "read.cu"),
    KernelSource("read_past_l1", "read.cu"),
    KernelSource("read_shared", "read.cu"),
    KernelSource("chase_global", "chase.cu"),
    KernelSource("chase_each", "chase.cu"),
    KernelSource("chase_shared", "chase.cu"),
    KernelSource("chase_loaded", "loaded.cu"),
    KernelSource("fma_fp32", "fma.cu"),
    KernelSource("fma_fp64", "fma.cu"),
    KernelSource("fma_fp16", "fma.cu"),
    KernelSource("fma_bf16", "fma.cu", (8, 0)),
    KernelSource("mma_fp16_m16n8k8", "mma.cu"),
    KernelSource("mma_int8_m8n8k16", "mma.cu"),
    KernelSource("mma_fp16_m16n8k16", "mma.cu", (8, 0)),
    KernelSource("mma_bf16_m16n8k16", "mma.cu", (8, 0)),
    KernelSource("mma_tf32_m16n8k8", "mma.cu", (8, 0)),
    KernelSource("mma_int8_m16n8k32", "mma.cu", (8, 0)),
    KernelSource("mma_fp8_m16n8k32", "mma.cu", (8, 9)),
    KernelSource("wgmma_fp16", "wgmma.cu", (9, 0), "a"),
    KernelSource("wgmma_bf16", "wgmma.cu", (9, 0), "a"),
    KernelSource("wgmma_tf32", "wgmma.cu", (9, 0), "a"),
    KernelSource("wgmma_fp8", "wgmma.cu", (9, 0), "a"),
    KernelSource("wgmma_int8", "wgmma.cu", (9, 0), "a"),
)

#: Every kernel by its name.
KERNELS: Mapping[str, KernelSource] = {source.name: source for source in _SOURCES}
