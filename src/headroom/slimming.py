"""The library's front door to slim networks: :func:`slim`, and :func:`load_frontier` for what it saved."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.asking import L2_STATES, checked, gpu_spec, measured, wanted_type
from headroom.change.synapses.planning.study import Study
from headroom.change.synapses.planning.subject import Data, subject_of
from headroom.change.synapses.transform import Transform
from headroom.errors import ModelError, UsageError
from headroom.slimmed import Finetune, Slimming, trainer_of

if TYPE_CHECKING:
    from headroom.change.synapses.planning.kept import Kept
    from headroom.gpu.spec import GpuSpec

#: Where times come from: what was measured where anything was, or the theory alone.
SOURCES = ("auto", "predicted")

#: What to correlate, and what makes up for what goes; ``auto`` is the best that the data allow.
CORRELATE = ("auto", "weights", "inputs", "contributions", "least-damage")
TRANSFORMS = ("auto", *(each.value for each in Transform))

#: Points that may be lost where the user does not say.
MAX_LOSS = 0.5

#: Samples of the user's data that are looked at, half of them to judge by.
SAMPLES = 2048


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
    data_type = wanted_type(dtype, spec)
    _one_choice(threshold=threshold, speedup=speedup, max_loss=max_loss)
    if samples < 2:
        raise UsageError(f"{samples} samples cannot be divided into some to choose by and some to judge by; give more")
    subject = subject_of(model, example_inputs, data, samples, seed)
    # From here on PyTorch is there.
    from headroom.change.synapses.planning.clock import Clock
    from headroom.change.synapses.planning.kept import kept_of
    from headroom.change.synapses.planning.planner import plan
    from headroom.change.synapses.planning.ways import Correlate, Settings
    from headroom.change.synapses.planning.workers import stopwatch_on
    from headroom.graph.torch.reader import read_module

    how = None if transform == "auto" else Transform(transform)
    settings = Settings(Correlate(correlate), how, threshold, seed)
    tell("reading the network")
    graph = read_module(subject.network, subject.example, batch=batch, name=subject.target or None)
    with measured(graph, spec, data_type, l2, source, db, system) as measurements:
        clock = Clock(spec, data_type, l2, measurements)
        with stopwatch_on(data_type, index, shared=shared, wanted=measure) as stopwatch:
            planned = plan(
                subject.network, subject.example, graph, clock, subject.batches, settings,
                finetune=trainer_of(finetune), stopwatch=stopwatch, tell=tell,
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
    subject = None if model is None else subject_of(model, example_inputs, data, samples, seed)

    def kept(chosen: Study) -> dict[str, Kept]:
        from headroom.change.synapses.planning.saved import read_kept

        assert subject is not None  # nobody makes a network out of a front alone
        return read_kept(place, _chosen(chosen), subject.network)

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
