"""A framework's run of a model as its profiler saw it. Readers (one file per format) make these; they know no model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headroom.measure.profiles.library_logs import LibraryCall


class LaunchKind(StrEnum):
    """What the GPU was given to do."""

    KERNEL = "kernel"
    COPY = "copy"
    FILL = "fill"


@dataclass(frozen=True, slots=True)
class Operand:
    """An operator's argument: a tensor with its dimensions, or a plain value, whose text is in ``value``.

    A tensor's ``dtype`` is in the words of ``TensorSpec.element`` (``float32``, ``bfloat16``, ``int64``, …), empty for
    a member of a list of tensors; a plain value's is as the profiler wrote it (``Scalar``, ``ScalarList``).
    """

    dims: tuple[int, ...] = ()
    dtype: str = ""
    strides: tuple[int, ...] = ()
    value: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """An operator as the framework called it on the host.

    ``parent`` indexes the step's calls: the call that this one is made from, ``None`` at the top. ``module`` is the
    path of the module that made it, or of the node, as far as the profile tells.
    """

    name: str
    start_us: float
    duration_us: float
    thread: int
    parent: int | None = None
    operands: tuple[Operand, ...] = ()
    module: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """Something that ran on the GPU.

    ``call`` indexes the step's calls: the innermost one that launched it; ``None`` in a replayed CUDA graph.
    ``launched_us`` is when the host asked for it. ``bytes`` is what a copy or fill moves.
    """

    name: str
    kind: LaunchKind
    start_us: float
    duration_us: float
    stream: int
    device: int = 0
    call: int | None = None
    launched_us: float | None = None
    grid: tuple[int, int, int] | None = None
    block: tuple[int, int, int] | None = None
    registers: int | None = None
    shared_bytes: int | None = None
    bytes: int | None = None
    graph: bool = False

    @property
    def end_us(self) -> float:
        return self.start_us + self.duration_us


@dataclass(frozen=True, slots=True)
class Wait:
    """The host waited for the GPU: ``cudaStreamSynchronize``, a blocking copy, ``item``."""

    name: str
    start_us: float
    duration_us: float
    call: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One inference. Calls and launches stand in the order of their start."""

    name: str
    start_us: float
    duration_us: float
    calls: tuple[Call, ...] = ()
    launches: tuple[Launch, ...] = ()
    waits: tuple[Wait, ...] = ()

    @property
    def gpu_busy_us(self) -> float:
        """Time in which at least one launch ran."""
        busy_us, reached_us = 0.0, float("-inf")
        for launch in sorted(self.launches, key=lambda each: each.start_us):
            busy_us += max(0.0, launch.end_us - max(launch.start_us, reached_us))
            reached_us = max(reached_us, launch.end_us)
        return busy_us

    @property
    def gpu_span_us(self) -> float:
        """From the first launch's start to the last one's end."""
        if not self.launches:
            return 0.0
        return max(each.end_us for each in self.launches) - min(each.start_us for each in self.launches)


@dataclass(frozen=True, slots=True)
class Profile:
    """A recorded run: one step per inference, as far as the recorder marked them, else one for all.

    ``recorder`` is ``pytorch``, ``onnxruntime`` or ``nsys``; ``title`` is the file's name; ``gpu`` the driver's name of
    the device, empty where there was none or the profile does not tell. ``latency_us`` is what an inference takes when
    nobody records it, where the recorder timed that as well: recording slows the host down, often by half.
    ``library_calls`` is what cuDNN and cuBLAS themselves logged of another run of a few inferences, in the order of
    each library; empty where nobody switched their logs on.
    """

    recorder: str
    title: str
    gpu: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    latency_us: float | None = None
    library_calls: tuple[LibraryCall, ...] = ()

    @property
    def typical(self) -> Step:
        """The step of median length, the earlier of two."""
        ranked = sorted(self.steps, key=lambda step: (step.duration_us, step.start_us))
        return ranked[(len(ranked) - 1) // 2]
