"""What the performance database holds, as plain records.

A measurement is found by its whole key: the system, the chain of layers, the data type, the version of the method,
the state of the L2 cache, and the implementation with its layout and math mode. Rows whose keys differ in any field
never mix.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from enum import StrEnum

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType

#: Raised when the way a time is taken changes so that old and new times cannot be compared.
METHOD = 1


class Status(StrEnum):
    """What became of an implementation. Only ``OK`` rows hold a time that bounds are made of."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    OOM = "oom"
    FAILED = "failed"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    UNSTABLE = "unstable"


@dataclass(frozen=True, slots=True)
class System:
    """A GPU model with the driver and libraries that ran on it; two equal GPUs are one system.

    ``gpu`` is the driver's name of the GPU. Versions are as the libraries spell them; one that is absent is ``""``.
    """

    gpu: str
    driver: str
    cuda: str
    cudnn: str
    cublas: str
    torch: str

    @property
    def id(self) -> str:
        """Eight hexadecimal digits, the same on every machine: what ``--system`` takes."""
        return hashlib.sha256("\n".join(astuple(self)).encode()).hexdigest()[:8]

    @property
    def title(self) -> str:
        """``NVIDIA H200, driver 580.159.04, CUDA 13.0, cuDNN 9.19.0, cuBLAS 13.1.0, PyTorch 2.11.0``."""
        versions = {
            "driver": self.driver, "CUDA": self.cuda, "cuDNN": self.cudnn, "cuBLAS": self.cublas, "PyTorch": self.torch,
        }  # fmt: skip
        return ", ".join([self.gpu, *(f"{name} {version}" for name, version in versions.items() if version)])


@dataclass(frozen=True, slots=True)
class Implementation:
    """One way to run a chain.

    ``backend`` is the library (``cudnn``, ``cublaslt``, ``torch``, …), ``name`` whatever makes it run the same
    again: cuDNN's engine and knobs (``eng22_k2=5_k13=1``), cuBLASLt's algorithm, a PyTorch op. ``layout`` is
    ``nchw`` or ``nhwc``, or empty where tensors have no such order. ``math`` is the type that products are
    accumulated and rounded in: ``fp32``, ``tf32``, ``fp16``.
    """

    backend: str
    name: str
    layout: str = ""
    math: str = "fp32"

    @property
    def engine(self) -> str:
        """The name without its knobs: ``eng22``, ``algo66``; all of it where it has none."""
        return self.name.partition("_")[0]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that an implementation launches. ``tile`` is (m, n, k) where the name tells it."""

    name: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    registers: int = 0
    shared_bytes: int = 0
    tile: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """One implementation of a chain, timed in one state of the L2 cache, or why it was not.

    ``median_us`` and ``iqr_us`` are per launch over ``samples`` samples, ``None`` where nothing was timed. Clocks are
    the medians while it ran; ``throttle_mask`` is NVML's raw clock-event mask, before and after ored together.
    ``relative_error`` is ``||out - reference|| / ||reference||``, which ``tolerance`` bounds. ``needed_bytes`` and
    ``free_bytes`` are told by an ``oom`` row. ``measured_at`` is UTC, ISO 8601.
    """

    implementation: Implementation
    l2: str
    status: Status
    reason: str = ""
    median_us: float | None = None
    iqr_us: float | None = None
    samples: int = 0
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    throttle_mask: int | None = None
    workspace_bytes: int | None = None
    kernels: tuple[Kernel, ...] = ()
    relative_error: float | None = None
    tolerance: float | None = None
    needed_bytes: int | None = None
    free_bytes: int | None = None
    gpu_uuid: str = ""
    measured_at: str = ""

    @property
    def noise(self) -> float | None:
        """Interquartile range over median."""
        return None if not self.median_us or self.iqr_us is None else self.iqr_us / self.median_us

    @property
    def is_noisy(self) -> bool:
        """Whether the spread is above 10 %, which an answer says beside the figure."""
        return self.noise is not None and self.noise > 0.10


#: Which implementations a sweep tries: those that the libraries' heuristics propose first, those that were fast in
#: chains much like it, or every one that the libraries list.
PLANS = ("heuristic", "likely", "all")


@dataclass(frozen=True, slots=True)
class Sweep:
    """A visit of the stopwatch to one chain: what is written in one transaction.

    ``plans`` is one of :data:`PLANS`: which implementations were tried. A sweep of all covers any other.
    A resumed run skips what a finished sweep visited (:func:`headroom.store.steps.is_finished`), and takes up the rest.
    """

    system: System
    chain: Chain
    dtype: DataType
    plans: str
    timings: tuple[Timing, ...]
    seconds: float
    method: int = METHOD


@dataclass(frozen=True, slots=True)
class Counters:
    """What the hardware counted while one implementation of a chain ran once."""

    implementation: Implementation
    l1_bytes: float
    l2_bytes: float
    dram_bytes: float
    occupancy: float
    waves: float


@dataclass(frozen=True, slots=True)
class NetworkTiming:
    """A whole network as a framework runs it. ``mode`` is ``eager``, ``cuda-graph``, ``compile``, … .

    ``graph`` is the digest of the model's graph at this batch (:func:`headroom.graph.chain.graph_digest`).
    """

    graph: str
    model: str
    batch: int
    dtype: DataType
    mode: str
    status: Status
    reason: str = ""
    median_us: float | None = None
    iqr_us: float | None = None
    samples: int = 0
    energy_mj: float | None = None
    peak_bytes: int | None = None
    sm_clock_mhz: float | None = None
    throttle_mask: int | None = None
    gpu_uuid: str = ""
    measured_at: str = ""
    method: int = METHOD
