"""Is the changed network faster? Both run in turns on one GPU, so that clocks and neighbours meet them alike.

:func:`timed_in_turns` asks a worker, in which :func:`run` answers; the parent never touches CUDA.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from headroom.graph.tensor import DataType
from headroom.graph.torch.callable import is_callable_address
from headroom.measure.jobs import Json, Say, run_job
from headroom.measure.networks.request import Request

#: How both are run: as frameworks run a network that nobody has compiled, without the host's share of it.
MODE = "channels-last cuda-graph"

#: Turns of each network; a sample of each is about this long, so that waiting for the GPU at its end is a thousandth.
_TURNS, _SAMPLE_US = 20, 20_000.0

_LIMIT_S = 900.0


@dataclass(frozen=True)
class Comparison:
    """Median times of both, and of what the new one saves per turn, with interquartile ranges."""

    before_us: float
    after_us: float
    saves_us: float
    saves_iqr_us: float
    turns: int

    @property
    def faster(self) -> bool:
        """Whether the new network is: three of four turns say so."""
        return self.saves_us > self.saves_iqr_us / 2


def timed_in_turns(
    target: str, changed: Path, dtype: DataType, *, batch: int | None = None, gpu: int = 0, mode: str = MODE
) -> Comparison:
    """Time the network at ``target`` and its changed form on GPU ``gpu``.

    Args:
        target: ``package.module:callable``, or the path of an ``.onnx`` file.
        changed: the folder that the changed network was written to, or the new ``.onnx`` file.

    Raises:
        GpuError: there is no GPU, or the worker died.
        ModelError: one of them cannot be read.
    """
    model = target if is_callable_address(target) else str(Path(target).resolve())
    request = Request(model, dtype, (mode,), batch=batch, energy_seconds=0.0)
    arguments = {"request": request.to_json(), "changed": str(changed.resolve())}
    return Comparison(**run_job(f"{__name__}:run", arguments, gpu=gpu, limit_s=_LIMIT_S))


def run(arguments: Json, say: Say) -> Json:
    """The worker's side.

    Raises:
        GpuError: PyTorch finds no GPU.
    """
    import torch

    from headroom.errors import GpuError
    from headroom.measure.networks.device import Gpu

    if not torch.cuda.is_available():
        raise GpuError("PyTorch finds no GPU to run a network on; install a CUDA build of PyTorch")
    device = Gpu(int(arguments.get("gpu", 0)))
    return asdict(compared(Request.from_json(arguments["request"]), Path(arguments["changed"]), device, say))


def compared(request: Request, changed: Path, device: Any, say: Say) -> Comparison:
    """Make both networks on ``device`` and run them in turns."""
    import torch

    from headroom.measure.networks.measuring import prepare
    from headroom.measure.networks.modes import find_mode
    from headroom.measure.networks.precision import products_in
    from headroom.measure.networks.sampling import warmed_up

    mode = find_mode(request.modes[0])
    say({"step": f"timing {request.name} and its changed form in turns"})
    with torch.inference_mode(), products_in(request.dtype), _every_algorithm_tried():
        runs = [prepare(mode, network, device) for network in _networks(request, changed, device)]
        repeats = [max(1, round(_SAMPLE_US / warmed_up(each, device))) for each in runs]
        samples = [
            [device.wall_us(each, count) for each, count in zip(runs, repeats, strict=True)] for _ in range(_TURNS)
        ]
    return _comparison(samples)


def _networks(request: Request, changed: Path, device: Any) -> Iterator[Any]:
    from headroom.change.widths.groups.specification import load_widths
    from headroom.measure.networks.network import find_network

    yield find_network(request).make(device)
    if not is_callable_address(request.model):
        yield find_network(replace(request, model=str(changed))).make(device)
        return
    other = find_network(request).make(device)
    dtype = next((each.dtype for each in other.module.parameters() if each.is_floating_point()), None)
    # The user's code made a fresh module; what a folder holds goes into it as into any other.
    other.module = load_widths(other.module.cpu(), changed).eval().to(device.torch, dtype)
    yield other


def _comparison(samples: Sequence[Sequence[float]]) -> Comparison:
    saved = [before - after for before, after in samples]
    low, _, high = statistics.quantiles(saved, n=4)
    return Comparison(
        before_us=statistics.median(before for before, _ in samples),
        after_us=statistics.median(after for _, after in samples),
        saves_us=statistics.median(saved),
        saves_iqr_us=high - low,
        turns=len(samples),
    )


@contextmanager
def _every_algorithm_tried() -> Iterator[None]:
    """cuDNN's first guess loses up to twofold, and not alike at every width."""
    import torch

    before: Mapping[str, Any] = {
        "benchmark": torch.backends.cudnn.benchmark,
        "benchmark_limit": torch.backends.cudnn.benchmark_limit,
    }
    torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, 0
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(torch.backends.cudnn, name, value)
