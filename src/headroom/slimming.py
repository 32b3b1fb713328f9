"""The library's front door to slim networks: :func:`slim`, and :func:`load_frontier` for what it saved."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.advise.findings.common import counted
from headroom.api import L2_STATES, checked, default_dtype, gpu_spec
from headroom.change.synapses.planning.applied import Applied, Measured
from headroom.change.synapses.planning.study import Study
from headroom.change.synapses.transform import Transform
from headroom.errors import ModelError, UsageError
from headroom.graph.tensor import DataType
from headroom.graph.torch.callable import imported, load_module, require_torch
from headroom.text import view

if TYPE_CHECKING:
    from torch import nn

    from headroom.advise.measurements import Measurements
    from headroom.change.synapses.planning.batches import Batches
    from headroom.change.synapses.planning.kept import Kept
    from headroom.change.synapses.planning.timing import Stopwatch
    from headroom.gpu.spec import GpuSpec
    from headroom.graph.graph import Graph

#: Where times come from: what was measured where anything was, or the theory alone.
SOURCES = ("auto", "predicted")

#: What to correlate, and what makes up for what goes; ``auto`` is the best that the data allow.
CORRELATE = ("auto", "weights", "inputs", "contributions", "least-damage")
TRANSFORMS = ("auto", *(each.value for each in Transform))

#: Points that may be lost where the user does not say.
MAX_LOSS = 0.5

#: Samples of the user's data that are looked at, half of them to judge by.
SAMPLES = 2048

Data = str | Callable[[], Iterable[Any]] | Iterable[Any]
Finetune = Callable[["nn.Module"], float | None]


@dataclass(frozen=True, eq=False)
class Subject:
    """A network in memory, with what it is judged by. ``target`` is its address, where it has one."""

    network: Any
    example: Any
    batches: Batches
    target: str = ""


@dataclass(frozen=True, eq=False)
class Slimming:
    """The ways of a network's layers, the front over them, and the point that was chosen.

    Attributes:
        study: everything that reports show.
        applied: what became of it, once :meth:`apply` made it.
    """

    study: Study
    _kept: Callable[[Study], dict[str, Kept]]
    _subject: Subject | None = None
    _every: Callable[[], dict[tuple[str, int], Kept]] | None = None
    applied: Applied | None = None

    def __repr__(self) -> str:
        study = self.study
        where = f"{view(study.model, 60)} on {view(study.gpu_name, 60)}"
        return f"<Slimming of {where}: {counted(len(study.layers), 'layer')}, {counted(len(study.front), 'point')}>"

    def for_speedup(self, speedup: float) -> Slimming:
        """With the point of least loss that is so many times as fast chosen.

        Raises:
            UsageError: none is so fast.
        """
        return replace(self, study=self.study.for_speedup(speedup))

    def for_loss(self, max_loss: float) -> Slimming:
        """With the fastest point that loses no more points chosen."""
        return replace(self, study=self.study.for_loss(max_loss))

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract (schema in ``headroom/report/schema``)."""
        from headroom.report.slim import to_dict

        return to_dict(self.study, self.applied)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the self-contained page.

        Raises:
            UsageError: the place cannot be written.
        """
        from headroom.files import write_whole
        from headroom.report.html.slim import render_slim

        return write_whole(path, render_slim(self.study, self.applied))

    def save_frontier(self, path: str | os.PathLike[str]) -> Path:
        """Write the front as JSON, and the weights of every way beside it (``.pt``), for :func:`load_frontier`.

        Raises:
            UsageError: a place cannot be written, or this front was itself loaded.
        """
        from headroom.change.synapses.planning.saved import write_kept
        from headroom.files import write_whole
        from headroom.report.slim import to_json

        if self._every is None:
            raise UsageError("a front that was loaded is in its file already; copy that and what lies beside it")
        place = Path(path)
        write_kept(place, self._every())
        return write_whole(place, to_json(self.study))

    def apply(
        self,
        out: str | os.PathLike[str],
        *,
        finetune: str | Finetune | None = None,
        onnx: str | os.PathLike[str] | None = None,
        measure: bool = False,
        index: int = 0,
        shared: bool = False,
        tell: Callable[[str], None] = lambda doing: None,
    ) -> tuple[nn.Module, Slimming]:
        """Make the chosen point's network, prove it, and write it to the folder ``out``.

        Args:
            finetune: a function, or its address, that trains the slim network in place, as
                :mod:`headroom.change.training` has it.
            onnx: where to export it to as well.
            measure: time both networks in turn on this machine's GPU; one that is no faster is refused.
            index, shared: as of :func:`slim`.

        Returns:
            The slim network, and this answer with what became of it.

        Raises:
            UsageError: no point is chosen, nothing would be removed, it is no faster, or a place cannot be written.
            ModelError: the proof or the fine-tuning fails.
            GpuError: it was to be measured, and there is no GPU or no time that counts.
        """
        from headroom.change.synapses.planning.apply import Order, apply
        from headroom.change.synapses.planning.losses import LossMeter

        subject = self._subject
        if subject is None:
            raise UsageError("this front is of a file; load it with its network: load_frontier(path, network)")
        if self.study.chosen is None:
            raise UsageError("no point of the front is chosen; choose with for_speedup or for_loss")
        if measure and not subject.target:
            raise UsageError("a network is measured in a process of its own: give it as package.module:callable")
        dtype, shape = DataType(self.study.dtype), (self.study.batch, *subject.example.shape[1:])
        with _worker(index, shared=shared, wanted=measure) as worker:

            def both(folder: Path) -> Measured:
                from headroom.change.synapses.planning.timing import time_networks

                return time_networks(worker, subject.target, folder, shape, dtype, index)

            order = Order(
                out=Path(out),
                finetune=_trainer(finetune),
                onnx=None if onnx is None else Path(onnx),
                time_both=both if measure else None,
            )
            meter = LossMeter(subject.network, subject.batches)
            kept = self._kept(self.study)
            network, applied = apply(subject.network, subject.example, self.study, kept, meter, order, tell)
        return network, replace(self, applied=applied)


def slim(
    model: Any,
    example_inputs: Any = None,
    gpu: str | os.PathLike[str] | GpuSpec = "h200",
    *,
    data: Data | None = None,
    correlate: str = "auto",
    transform: str = "auto",
    threshold: float | None = None,
    speedup: float | None = None,
    max_loss: float | None = None,
    finetune: str | Finetune | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    l2: str = "warm",
    source: str = "auto",
    db: str | os.PathLike[str] | None = None,
    system: str | None = None,
    samples: int = SAMPLES,
    measure: bool = False,
    index: int = 0,
    shared: bool = False,
    seed: int = 0,
    tell: Callable[[str], None] = lambda doing: None,
) -> Slimming:
    """Which synapse vectors each layer of a PyTorch network can do without, what that saves, and what it loses.

    Args:
        model: ``"package.module:callable"`` returning a module or (module, inputs), or a module.
        example_inputs: one tensor, for a module; the first batch of ``data`` where not given.
        data: batches, a function that gives them, or its address: tensors, or (inputs, labels). Random without it.
        correlate: one of :data:`CORRELATE`: what decides who goes.
        transform: one of :data:`TRANSFORMS`: what makes up for what goes.
        threshold: search at this correlation alone, and take every layer that becomes faster.
        speedup: choose the point of least loss that is so many times as fast.
        max_loss: choose the fastest point that loses no more points; 0.5 where nothing else is asked.
        finetune: tunes every <layer, threshold> by itself, all other layers untouched.
        batch: samples per run that times are for; the example's own by default.
        samples: of the data that are looked at, half of them to judge by.
        measure: time every way of every layer on this machine's GPU, the column grain among them.
        index: which of the machine's GPUs.
        shared: measure although others use the GPU.
        tell: told what is done next.

    The other arguments are those of :func:`headroom.analyze`.

    Raises:
        UsageError: the arguments do not go together, or no point is so fast.
        ModelError: the network, the data or the tuning fails.
        StoreError: the database cannot be read, or has no such system.
        GpuError: it was to be measured, and there is no GPU, or it is busy.
    """
    spec = gpu_spec(gpu)
    checked("correlate", correlate, CORRELATE)
    checked("transform", transform, TRANSFORMS)
    checked("source", source, SOURCES)
    checked("l2", l2, L2_STATES)
    data_type = default_dtype(spec) if dtype is None else DataType(checked("dtype", dtype, tuple(DataType)))
    _one_choice(threshold=threshold, speedup=speedup, max_loss=max_loss)
    if samples < 2:
        raise UsageError(f"{samples} samples cannot be divided into some to choose by and some to judge by; give more")
    subject = _subject(model, example_inputs, data, samples, seed)
    # From here on PyTorch is there.
    from headroom.change.synapses.planning.clock import Clock
    from headroom.change.synapses.planning.kept import kept_of
    from headroom.change.synapses.planning.planner import plan
    from headroom.change.synapses.planning.ways import Correlate, Settings
    from headroom.graph.torch.reader import read_module

    how = None if transform == "auto" else Transform(transform)
    settings = Settings(Correlate(correlate), how, threshold, seed)
    tell("reading the network")
    graph = read_module(subject.network, subject.example, batch=batch, name=subject.target or None)
    with _known(graph, spec, data_type, l2, source, db, system) as measurements:
        clock = Clock(spec, data_type, l2, measurements)
        with _stopwatch(data_type, index, shared=shared, wanted=measure) as stopwatch:
            planned = plan(
                subject.network, subject.example, graph, clock, subject.batches, settings,
                finetune=_trainer(finetune), stopwatch=stopwatch, tell=tell,
            )  # fmt: skip
    modules = planned.modules

    def kept(study: Study) -> dict[str, Kept]:
        return {name: kept_of(modules[name, index]) for name, index in _chosen(study).items()}

    def every() -> dict[tuple[str, int], Kept]:
        return {key: kept_of(module) for key, module in modules.items()}

    found = Slimming(planned.study, kept, subject, every)
    if threshold is not None:
        return replace(found, study=found.study.fastest(f"every layer at a threshold of {threshold:g}"))
    return _choose(found, speedup, max_loss)


def load_frontier(
    path: str | os.PathLike[str],
    model: Any = None,
    example_inputs: Any = None,
    *,
    data: Data | None = None,
    speedup: float | None = None,
    max_loss: float | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Slimming:
    """The front that :meth:`Slimming.save_frontier` wrote. Choosing a point of it takes milliseconds.

    Args:
        path: of the JSON file.
        model, example_inputs, data, samples, seed: as of :func:`slim`; only to make a point's network.
        speedup, max_loss: as of :func:`slim`.

    Raises:
        ModelError: it cannot be read, or is no front.
        UsageError: no point is so fast.
    """
    from headroom.report.slim import from_dict

    _one_choice(speedup=speedup, max_loss=max_loss)
    place = Path(path)
    try:
        held = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"cannot read {place}: {error}; make it with headroom slim TARGET --frontier {place}"
        ) from error
    study = from_dict(held, str(place))
    subject = None if model is None else _subject(model, example_inputs, data, samples, seed)

    def kept(chosen: Study) -> dict[str, Kept]:
        from headroom.change.synapses.planning.saved import read_kept

        return read_kept(place, _chosen(chosen))

    return _choose(Slimming(study, kept, subject), speedup, max_loss)


def _choose(found: Slimming, speedup: float | None, max_loss: float | None) -> Slimming:
    if speedup is not None:
        return found.for_speedup(speedup)
    return found.for_loss(MAX_LOSS if max_loss is None else max_loss)


def _chosen(study: Study) -> dict[str, int]:
    """The chosen way of every layer that is not dense, by its name."""
    ways = study.chosen.ways if study.chosen else ()
    return {layer.name: way for layer, way in zip(study.layers, ways, strict=True) if way}


def _one_choice(**choices: float | None) -> None:
    given = [name for name, value in choices.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} each choose a point; give one of them")


def _subject(model: Any, example_inputs: Any, data: Data | None, samples: int, seed: int) -> Subject:
    """The network, one example input, and batches to judge by."""
    require_torch(model if isinstance(model, str) else type(model).__name__)
    import torch

    from headroom.change.synapses.planning.batches import one_input, random_batches, user_batches

    target = model if isinstance(model, str) else ""
    if target:
        if example_inputs is not None:
            raise UsageError("example inputs go with a module, not with an address")
        model, example_inputs = load_module(target)
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"slim takes a PyTorch module or package.module:callable, not a {type(model).__name__}")
    batches = None if data is None else user_batches(_data(data), samples)
    if example_inputs is None:
        if batches is None:
            raise UsageError("a network without example inputs needs data: return (module, inputs), or give --data")
        example_inputs = batches.calibration[0].inputs[:1]
    example = one_input(example_inputs)
    return Subject(model, example, batches or random_batches(example, seed), target)


def _trainer(given: str | Finetune | None) -> Finetune | None:
    """The user's training function."""
    if not isinstance(given, str):
        return given
    from headroom.change.training import own_trainer

    found: Finetune = own_trainer(given)
    return found


def _data(given: Data) -> Any:
    """What was given, or what is at its address."""
    return imported(given) if isinstance(given, str) else given


@contextmanager
def _known(
    graph: Graph,
    gpu: GpuSpec,
    dtype: DataType,
    l2: str,
    source: str,
    db: str | os.PathLike[str] | None,
    system: str | None,
) -> Iterator[Measurements | None]:
    """What was measured, where anybody asks."""
    if source == "predicted":
        if db is not None or system is not None:
            raise UsageError("source 'predicted' asks no database: leave out db and system, or take source 'auto'")
        yield None
        return
    from headroom.advise.stored import measurements_of
    from headroom.store.default import open_for_reading

    with open_for_reading(db) as store:
        yield measurements_of(store, graph, gpu, dtype, l2, system)


@contextmanager
def _worker(index: int, *, shared: bool, wanted: bool) -> Iterator[Any]:
    """A worker on a GPU that is ours, where one is wanted."""
    if not wanted:
        yield None
        return
    from headroom.measure.busy import Guard
    from headroom.measure.client import Worker
    from headroom.measure.driver import driver_of

    with driver_of(index) as driver:
        Guard(driver, shared=shared).admit()
        with Worker(index) as worker:
            yield worker


@contextmanager
def _stopwatch(dtype: DataType, index: int, *, shared: bool, wanted: bool) -> Iterator[Stopwatch | None]:
    from headroom.change.synapses.planning.timing import Stopwatch

    with _worker(index, shared=shared, wanted=wanted) as worker:
        yield Stopwatch(worker, dtype, index) if wanted else None
