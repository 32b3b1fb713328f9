"""The library's front door to widths that fit: :func:`fit`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING

from headroom.asking import L2_STATES, SOURCES, checked, gpu_spec, measured, refuse_database, wanted_type
from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec

if TYPE_CHECKING:
    from headroom.change.widths.fit.candidates import Bounds
    from headroom.change.widths.fit.choice import Asked, Goal
    from headroom.change.widths.fit.network import Network
    from headroom.change.widths.fit.plan import Plan
    from headroom.change.widths.fit.space import Space
    from headroom.change.widths.fit.targets import Target
    from headroom.fitted import Fit


def fit(
    target: object,
    gpu: str | os.PathLike[str] | GpuSpec = "h200",
    *,
    example_inputs: object = None,
    goal: str = "lossless",
    saves: float | None = None,
    tolerance: float | None = None,
    unpruned: object = None,
    batch: int | None = None,
    dtype: str | None = None,
    l2: str = "warm",
    source: str = "auto",
    db: str | os.PathLike[str] | None = None,
    system: str | None = None,
) -> Fit:
    """Widths that let a network run faster on a GPU: a plan, which :meth:`Fit.apply` carries out.

    Args:
        target: ``package.module:callable``, the path of an ``.onnx`` file with weights (lossless only), or a module.
        example_inputs: only for a module.
        goal: ``lossless`` pads with channels of zeros; ``latency`` gives channels up; ``latency-paper`` does so by the
            tail-effect paper's Algorithm 2; ``accuracy`` adds parameters where they cost no time.
        saves: the share of the latency that the latency goal is to save.
        tolerance: how many channels the latency goal may gain or lose in all.
        unpruned: the network that this one was pruned from, as ``target``: no layer gets wider than there.

    The other arguments are those of :func:`headroom.staircase`.

    Raises:
        UsageError: the arguments do not go together, PyTorch is missing, or a layer has no time.
        ModelError: the network cannot be read, run or copied.
        StoreError: the database cannot be read, or has no such system.
    """
    chosen, asked, subject = _wanted(target, example_inputs, goal, saves, tolerance)
    from headroom.change.widths.fit.plan import plan_of

    ceiling = _unpruned(unpruned, example_inputs)
    with _space(subject, gpu, chosen.bounds, batch, dtype, l2, source, db, system, ceiling) as space:
        return _answer(plan_of(space, chosen, asked), subject)


def width_space(
    target: object,
    gpu: str | os.PathLike[str] | GpuSpec = "h200",
    *,
    example_inputs: object = None,
    least: float = 0.5,
    most: float = 1.25,
    batch: int | None = None,
    dtype: str | None = None,
    l2: str = "warm",
    source: str = "auto",
    db: str | os.PathLike[str] | None = None,
    system: str | None = None,
) -> Space:
    """The widths that each group of a network can sensibly have on a GPU: a discrete space for a pruner or a search.

    ``space.candidates`` are widths by group (section 4.4 of the tail-effect paper), ``space.time_us(widths)`` what the
    network takes at some of them, without running it.

    Args:
        least, most: how narrow and how wide a group may become, as shares of its width.

    The other arguments, and what is raised, are those of :func:`fit`.
    """
    if not 0 < least <= 1 <= most < float("inf"):
        raise UsageError(f"widths from {least:g} to {most:g} of the present one leave it out; take least <= 1 <= most")
    _require_libraries()
    from headroom.change.widths.fit.candidates import Bounds
    from headroom.change.widths.fit.targets import target_of

    subject = target_of(target, example_inputs)
    with _space(subject, gpu, Bounds(least, most), batch, dtype, l2, source, db, system) as space:
        return space


@contextmanager
def _space(
    subject: Target,
    gpu: str | os.PathLike[str] | GpuSpec,
    bounds: Bounds,
    batch: int | None,
    dtype: str | None,
    l2: str,
    source: str,
    db: str | os.PathLike[str] | None,
    system: str | None,
    unpruned: Target | None = None,
) -> Iterator[Space]:
    """The space of a network's widths, with the database that its times come from open."""
    spec = gpu_spec(gpu)
    checked("source", source, SOURCES)
    checked("l2", l2, L2_STATES)
    data_type = wanted_type(dtype, spec)
    if source == "predicted":
        refuse_database(db, system)
    from headroom.change.widths.fit.space import space_of
    from headroom.change.widths.fit.times import Clock

    network = _network(subject, unpruned, batch)
    with measured(network.graph, spec, data_type, l2, source, db, system) as known:
        yield space_of(network, Clock(spec, data_type, l2, known, measured_only=source == "measured"), bounds)


def measure_fit(
    target: object,
    gpu: str | os.PathLike[str] | GpuSpec = "h200",
    *,
    example_inputs: object = None,
    goal: str = "lossless",
    saves: float | None = None,
    tolerance: float | None = None,
    unpruned: object = None,
    batch: int | None = None,
    dtype: str | None = None,
    l2: str = "warm",
    db: str | os.PathLike[str] | None = None,
    index: int = 0,
    shared: bool = False,
    on_layer: Callable[[str], None] = lambda what: None,
) -> Fit:
    """Choose widths by what this machine's GPU takes: what a choice rests on is measured until none of it is guessed.

    Every layer is kept in the database as it is done, so that an interrupted run goes on from there. The other
    arguments are those of :func:`fit`.

    Args:
        gpu: the sheet whose theory says where to look first: this GPU's.
        index: which of the machine's GPUs.
        shared: measure although others use the GPU, and say so in the rows.
        on_layer: told each layer before it is measured.

    Raises:
        GpuError: there is no such GPU, it is busy, or measuring on it fails altogether.
        UsageError, ModelError, StoreError: as :func:`fit`.
    """
    spec = gpu_spec(gpu)
    data_type = wanted_type(dtype, spec)
    chosen, asked, subject = _wanted(target, example_inputs, goal, saves, tolerance)
    from headroom.change.widths.fit.measuring import measured_plan
    from headroom.change.widths.staircase.measuring import stopwatch
    from headroom.store.notebook import open_for_measuring

    network = _network(subject, _unpruned(unpruned, example_inputs), batch)
    with (
        open_for_measuring(db) as records,
        stopwatch(records, spec, data_type, l2=checked("l2", l2, L2_STATES), index=index, shared=shared) as watch,
    ):
        return _answer(measured_plan(network, chosen, asked, watch, on_layer=on_layer), subject)


def _wanted(
    target: object, example_inputs: object, goal: str, saves: float | None, tolerance: float | None
) -> tuple[Goal, Asked, Target]:
    """What to fit and what for, checked before anything takes time.

    Raises:
        UsageError: it does not go together, or a library is missing.
        ModelError: the user's callable fails.
    """
    _require_libraries()
    from headroom.change.widths.fit.choice import Asked
    from headroom.change.widths.fit.goals import find_goal
    from headroom.change.widths.fit.targets import target_of

    chosen, asked = find_goal(goal), Asked(saves, tolerance)
    chosen.check(asked)
    subject = target_of(target, example_inputs)
    if subject.lossless_only and not chosen.lossless:
        raise UsageError(
            f"an ONNX file can only be padded with zeros: take goal lossless, or fit the PyTorch module for {goal}"
        )
    return chosen, asked, subject


def _unpruned(target: object, example_inputs: object) -> Target | None:
    """The network that the subject was pruned from, if one was named; a module takes the subject's example inputs."""
    from torch import nn

    from headroom.change.widths.fit.targets import target_of

    if target is None:
        return None
    return target_of(target, example_inputs if isinstance(target, nn.Module) else None)


def _network(subject: Target, unpruned: Target | None, batch: int | None) -> Network:
    """The subject's widths, under those of the network that it was pruned from.

    Raises:
        ModelError: one of them cannot be read, or they are not of one family.
    """
    from headroom.change.widths.fit.ceilings import under

    network = subject.network(batch)
    return network if unpruned is None else under(network, unpruned.graph(batch))


def _answer(found: Plan, subject: Target) -> Fit:
    from headroom.fitted import Fit

    fitted = Fit(**{field.name: getattr(found, field.name) for field in fields(found)}, target=subject)
    # Looked at while the database is open.
    assert len(fitted.stands) == len(fitted.layers)
    return fitted


def _require_libraries() -> None:
    """Say how to get what is missing, before it is imported.

    Raises:
        UsageError: PyTorch or SciPy is not installed.
    """
    for library in ("torch", "scipy"):
        if importlib.util.find_spec(library) is None:
            raise UsageError(f"fitting widths needs {library}; install it with: pip install 'headroom[fit]'")
