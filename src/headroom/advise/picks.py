"""What every convolution and product was run by, what is fastest, and what PyTorch's settings make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headroom.advise.choices import DEFAULT, Choices, Setting
from headroom.advise.recorded import Recorded
from headroom.advise.same_kernels import implementation_of, own_name
from headroom.advise.settings import layout_of
from headroom.store.rows import Timing


@dataclass(frozen=True, slots=True)
class Pick:
    """A layer (index) with its time in us as it ran (in the profile, else by PyTorch's default) and its fastest row.

    ``row`` is the measured implementation that ran, ``None`` if none has its kernels; ``kernel`` is the longest kernel.
    ``settings`` is its time under each setting that has a row, and ``best_us`` its time by the fastest row, both in the
    run: where that takes longer for ``row`` than the stopwatch did (weights that left the cache), it does for all.
    """

    layer: int
    time_us: float
    best: Timing
    kernel: str
    row: Timing | None
    settings: Mapping[Setting, float]
    best_us: float

    @property
    def loss_us(self) -> float:
        return self.time_us - self.best_us


#: What PyTorch can be told, beside its default.
SETTINGS = (Setting("nchw", benchmark=True), Setting("nhwc"), Setting("nhwc", benchmark=True), DEFAULT)


def picks(choices: Choices, run: Recorded | None) -> tuple[Pick, ...]:
    """One for every layer that has rows, in the model's order."""
    if not choices.rows:
        return ()
    now = DEFAULT if run is None else Setting(layout_of(run, choices))
    found = (_recorded(choices, run, now, layer) if run else _default(choices, layer) for layer in choices.layers)
    return tuple(filter(None, found))


def _recorded(choices: Choices, run: Recorded, now: Setting, layer: int) -> Pick | None:
    # A kernel that runs other layers as well tells nothing of this one.
    best, launches = choices.best(layer), run.launches_of(layer, alone=True)
    if best is None or not launches:
        return None
    time_us = run.time_us(launches)
    longest = max(launches, key=lambda launch: run.step.launches[launch].duration_us)
    row = implementation_of([run.step.launches[launch] for launch in launches], choices.all(layer))
    before = choices.torch(layer, now)
    scale = 1.0 if before is None else time_us / (before.median_us or time_us)
    settings = {setting: us * scale for setting, us in _settings(choices, layer).items()}
    longer = 1.0 if row is None else time_us / (row.median_us or time_us)
    # A run that beats the database is the better measurement.
    best_us = min(time_us, (best.median_us or time_us) * longer)
    return Pick(layer, time_us, best, own_name(run.step.launches[longest].name), row, settings, best_us)


def _default(choices: Choices, layer: int) -> Pick | None:
    best, row = choices.best(layer), choices.torch(layer, DEFAULT)
    if best is None or row is None or row.median_us is None:
        return None
    kernel = own_name(row.kernels[0].name) if row.kernels else row.implementation.name
    return Pick(layer, row.median_us, best, kernel, row, _settings(choices, layer), best.median_us or row.median_us)


def _settings(choices: Choices, layer: int) -> dict[Setting, float]:
    rows = {setting: choices.torch(layer, setting) for setting in SETTINGS}
    return {setting: row.median_us for setting, row in rows.items() if row is not None and row.median_us is not None}
