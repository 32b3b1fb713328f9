"""Tensors are turned between NCHW and NHWC around kernels that want the other order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.channels_last import told_costs
from headroom.advise.choices import Choices, Setting
from headroom.advise.findings.common import counted
from headroom.advise.pytorch_lines import CHANNELS_LAST, CONTIGUOUS
from headroom.advise.recorded import Recorded
from headroom.advise.settings import Layout, changed_to, layout_of, nhwc_costs_us

_TO_NHWC = ("nchwtonhwc", "nchw2nhwc")


def layout_changes(run: Recorded) -> Iterator[Finding]:
    """One finding for the layers that want NHWC and get NCHW, or for the reverse, if the other layout gains at all.

    Without its transposes a run still is in one layout or the other, so that the saving is the whole run's in the other
    layout: what PyTorch's own kernels lose there is taken off.
    """
    grouped: dict[Layout, list[int]] = defaultdict(list)
    for launches in _by_layer(run).values():
        first = run.step.launches[launches[0]].name.lower()
        grouped[Layout.NHWC if any(word in first for word in _TO_NHWC) else Layout.NCHW] += launches
    choices = Choices.of(run.case) if grouped else None
    for wanted, launches in grouped.items():
        if choices is None or layout_of(run, choices) is wanted:
            continue
        saved = run.timelines.saves(changed_to(run, choices, Setting(wanted)))
        if not saved[0]:
            continue
        layers = run.layers(launches)
        yield run.finding(
            kind="layout_transposes",
            title=f"{counted(len(launches), 'layout transpose')} around {counted(len(layers), 'layer')}",
            action=(
                f"Keep model and input in {'channels_last' if wanted is Layout.NHWC else 'the default (NCHW) format'}: "
                f"the transposes, those of weights included, take {figures.time(run.time_us(launches))} of the GPU's "
                f"time in every inference."
            ),
            layers=layers,
            saved=saved,
            code=CHANNELS_LAST if wanted is Layout.NHWC else CONTIGUOUS,
            limits=(
                f"{told_costs(*nhwc_costs_us(run))}; strict fp32 convolutions run in NCHW, so that channels_last adds "
                f"transposes there."
                if wanted is Layout.NHWC
                else "Layers that run faster in NHWC lose what these win."
            ),
        )


def _by_layer(run: Recorded) -> dict[tuple[int, ...], list[int]]:
    """The launches that transpose, in order, by the layers that they are for."""
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for launch in run.extras("transpose"):
        found[run.layers_of.get(launch, ())].append(launch)
    return found
