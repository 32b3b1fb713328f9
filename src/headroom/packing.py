"""The library's front door to packing: :func:`pack`. Calling it loads PyTorch."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.asking import L2_STATES, checked, gpu_spec, wanted_type
from headroom.change.fission.plan import Goal, PackPlan
from headroom.errors import ModelError, UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.torch.callable import imported, load_callable, require_torch

if TYPE_CHECKING:
    from torch import nn

#: Batches of calibration data that are used where nobody says otherwise.
USUAL_BATCHES = 8


@dataclass(frozen=True)
class Packing:
    """The answer: a plan, and the packed network that it was proved on."""

    plan: PackPlan
    network: nn.Module

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract (schema in ``headroom/report/schema``)."""
        from headroom.report.packing import to_dict

        return to_dict(self.plan)

    def save(self, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write ``packing.json`` and ``weights.pt``; :func:`headroom.change.fission.stored.load_packed` reads them.

        Raises:
            UsageError: the folder cannot be written.
        """
        from headroom.change.fission.stored import save_packed

        return save_packed(Path(folder), self.network)


def pack(
    target: object,
    gpu: str | os.PathLike[str] | GpuSpec = "h200",
    *,
    example_inputs: object = None,
    batch: int | None = None,
    dtype: str | None = None,
    l2: str = "cold",
    calibration: str | Iterable[Any] | None = None,
    batches: int = USUAL_BATCHES,
    budget: float = 0.02,
    goal: str = "time",
    forms: str | Iterable[str] | None = None,
    metric: str | Callable[[Any], Any] | None = None,
    max_loss: float | None = None,
    measure: bool = False,
    shared: bool = False,
    index: int = 0,
) -> Packing:
    """Choose a packed format for each layer of a PyTorch network within a budget, and prove it on real outputs.

    Args:
        target: ``package.module:callable`` as in :func:`headroom.load`, or a module (with ``example_inputs``).
        batch: samples per run that times are predicted for; that of the example inputs by default.
        l2: ``cold``, as a network whose weights exceed the cache finds it, or ``warm``.
        calibration: what the network is called with, batch after batch, or ``package.module:callable`` that gives
            it; the example inputs by default.
        batches: of the calibration data, at most.
        budget: relative error of the network's outputs on that data, root mean square.
        goal: ``time`` or ``memory``: what is made small. For time, a layer that packing does not make faster stays.
        forms: formats to look at, ``int8,int4_g32`` or one by one; by default those that pay on today's GPUs.
        metric: called with a network, says how good it is, larger being better; or ``package.module:callable``.
        max_loss: how much of the metric may go.
        measure: time every layer in every format on this machine's GPU ``index``, and choose by that.
        shared: measure although others use the GPU.

    Raises:
        GpuError: it was to be measured, and there is no GPU, or it is busy.
        UsageError: the arguments do not go together, or nothing can be packed.
        ModelError: the network cannot be read, or fails on the data.
    """
    require_torch("a network to pack")
    from headroom.advise.timed import TimedGraph
    from headroom.change.fission.pack import plan_pack
    from headroom.change.fission.timing import stopwatch_on
    from headroom.change.fission.wishes import USUAL, Wishes
    from headroom.graph.torch.reader import read_module

    spec = gpu_spec(gpu)
    data_type = wanted_type(dtype, spec)
    network, inputs, name = _network(target, example_inputs)
    graph = read_module(network, inputs, batch=batch, name=name)
    timed = TimedGraph.predict(graph, spec, data_type, checked("l2", l2, L2_STATES))
    wishes = Wishes(
        budget=budget,
        goal=Goal(checked("goal", goal, tuple(Goal))),
        forms=USUAL if forms is None else _names(forms),
        metric=imported(metric) if isinstance(metric, str) else metric,
        max_loss=max_loss,
    )
    data, told = _data(calibration, inputs, batches)
    with stopwatch_on(data_type, index, cold=l2 == "cold", shared=shared, wanted=measure) as stopwatch:
        plan, packed = plan_pack(network, data, timed, wishes, calibration=told, stopwatch=stopwatch)
    return Packing(plan, packed)


def _names(forms: str | Iterable[str]) -> tuple[str, ...]:
    """Each format once."""
    every = forms.split(",") if isinstance(forms, str) else forms
    return tuple(dict.fromkeys(name.strip() for name in every))


def _network(target: object, example_inputs: object) -> tuple[Any, Any, str]:
    if isinstance(target, str):
        if example_inputs is not None:
            raise UsageError("example inputs go with a module, not with package.module:callable")
        return (*load_callable(target), target)
    if example_inputs is None:
        raise UsageError("a module needs example inputs: pack(module, gpu, example_inputs=...)")
    return target, example_inputs, type(target).__name__


def _data(calibration: str | Iterable[Any] | None, inputs: Any, most: int) -> tuple[list[Any], str]:
    """Batches, and what the plan calls them."""
    if most < 1:
        raise UsageError(f"{most} batches of calibration data tell nothing; give at least one")
    if calibration is None:
        return [inputs], "the example inputs"
    found = imported(calibration) if isinstance(calibration, str) else calibration
    named = calibration if isinstance(calibration, str) else "the caller's data"
    try:
        given = found() if callable(found) else found
        # A tensor, or a dict of named arguments, is a batch and not a list of batches.
        data = [given] if hasattr(given, "dtype") or isinstance(given, Mapping) else list(itertools.islice(given, most))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{named} gave no calibration data: {reason}; it returns batches the network reads") from error
    if not data:
        raise ModelError(f"{named} gave no batch; it returns batches the network is called with, one after the other")
    return data, f"{len(data)} batches of {named}" if len(data) > 1 else f"a batch of {named}"
