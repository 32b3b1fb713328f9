"""``headroom profile``: run a model under PyTorch's profiler, and keep the trace that ``headroom analyze`` reads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from headroom.cli.options import parse_batches, parse_dims, parse_dtypes
from headroom.cli.progress import progress
from headroom.errors import UsageError
from headroom.figures import time
from headroom.graph.tensor import DataType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headroom.measure.profiles.recording.client import Recorded

_Value = TypeVar("_Value")


class Device(StrEnum):
    GPU = "gpu"
    CPU = "cpu"


def profile(
    model: Annotated[str, typer.Argument(help="An .onnx file, or package.module:callable.")],
    out: Annotated[Path | None, typer.Option(help="The trace; by default MODEL.trace.json.gz here.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Data type: fp32, tf32, fp16 or bf16.")] = None,
    batch: Annotated[str | None, typer.Option(help="Samples per inference.")] = None,
    dim: Annotated[list[str] | None, typer.Option(help="Pin a symbolic dimension: NAME=N.")] = None,
    mode: Annotated[str, typer.Option(help="eager, cuda-graph, compile, compile reduce-overhead, ….")] = "eager",
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Tensors in channels-last order.")] = False,
    steps: Annotated[int, typer.Option(min=1, max=100, help="Inferences to record.")] = 3,
    device: Annotated[Device, typer.Option(help="Run on the GPU or on the host.")] = Device.GPU,
    gpu: Annotated[int, typer.Option(min=0, help="Index of the GPU.")] = 0,
    shared: Annotated[bool, typer.Option("--shared", help="Record although others use the GPU.")] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Run it again with the libraries' own logs on.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Record an execution profile of a model: every operator, kernel, copy and wait of a few inferences.

    Example: `headroom profile resnet50.onnx --dtype bf16 --batch 32 --mode cuda-graph`
    """
    from headroom.cli.screen import Screen
    from headroom.measure.networks.modes import find_mode
    from headroom.measure.profiles.recording.client import Recording, record

    recording = Recording(
        model=model,
        dtype=_dtype(dtype, device, gpu),
        mode=find_mode(_layout(mode) if channels_last else mode).name,
        batch=_only("--batch", parse_batches(batch)),
        dims=tuple(parse_dims(dim or []).items()),
        steps=steps,
        on_gpu=device is Device.GPU,
        gpu=gpu,
        shared=shared,
        logs=logs,
    )
    with progress(4 if logs else 3, quiet=quiet) as advance:
        recorded = record(recording, out or Path(f"{_stem(model)}.trace.json.gz"), advance)
    if not quiet:
        screen = Screen()
        for line in _summary(recorded):
            screen.print(line, markup=False, soft_wrap=True)


def _summary(recorded: Recorded) -> Iterator[str]:
    """What was recorded, and where it is."""
    profile, step = recorded.profile, recorded.profile.typical
    where = profile.gpu or "the host"
    yield (
        f"{len(profile.steps)} steps on {where}; a step makes {len(step.calls):,} calls and {len(step.launches):,} "
        f"launches, and keeps the GPU busy for {time(step.gpu_busy_us)}"
        if step.launches
        else f"{len(profile.steps)} steps on {where}; a step makes {len(step.calls):,} calls and launches nothing"
    )
    if profile.latency_us is not None:
        yield f"an inference takes {time(profile.latency_us)}, and took {time(step.duration_us)} while it was recorded"
    yield from profile.notes
    for file in (recorded.trace, *recorded.logs):
        yield f"wrote {file}"


def _dtype(text: str | None, device: Device, gpu: int) -> DataType:
    wanted = _only("--dtype", parse_dtypes(text) or (None,))
    if wanted is not None:
        return wanted
    if device is Device.CPU:
        return DataType.FP32
    from headroom.measure.run import usual_dtype

    return usual_dtype(gpu)


def _layout(mode: str) -> str:
    """The name of ``mode`` in channels-last order; the eager run has none of its own."""
    return "channels-last" if mode == "eager" else f"channels-last {mode}"


def _only(option: str, values: tuple[_Value, ...]) -> _Value:
    if len(values) != 1:
        raise UsageError(f"{option} takes one value here; record a profile for each")
    return values[0]


def _stem(model: str) -> str:
    """What the file is called where nobody says."""
    return Path(model).stem if model.endswith(".onnx") else model.rpartition(":")[2].rpartition(".")[2]
