"""Tensors are turned between NCHW and NHWC around kernels that want the other order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded

_TO_NHWC = ("nchwtonhwc", "nchw2nhwc")

_CHANNELS_LAST = """\
model = model.to(memory_format=torch.channels_last)
x = x.to(memory_format=torch.channels_last)"""

_CONTIGUOUS = """\
model = model.to(memory_format=torch.contiguous_format)
x = x.contiguous()"""


def layout_changes(run: Recorded) -> Iterator[Finding]:
    """One finding for the layers that want NHWC and get NCHW, and one for the reverse."""
    grouped: dict[bool, list[int]] = defaultdict(list)
    for launches in _by_layer(run).values():
        first = run.step.launches[launches[0]].name.lower()
        grouped[any(word in first for word in _TO_NHWC)] += launches
    for wants_nhwc, launches in grouped.items():
        saved = run.timelines.saves(run.without(launches))
        if not saved[0]:
            continue
        layers = run.layers(launches)
        yield run.finding(
            kind="layout_transposes",
            title=f"{counted(len(launches), 'layout transpose')} around {counted(len(layers), 'layer')}",
            action=(
                f"Keep model and input in {'channels_last' if wants_nhwc else 'the default (NCHW) format'}: the "
                f"transposes take {figures.time(run.time_us(launches))} of the GPU's time in every inference, those of "
                f"weights included."
            ),
            layers=layers,
            saved=saved,
            code=_CHANNELS_LAST if wants_nhwc else _CONTIGUOUS,
            limits=(
                "Other kernels change with the format as well (PyTorch's pooling is slower in channels_last); strict "
                "fp32 convolutions run in NCHW, so that channels_last adds transposes there."
                if wants_nhwc
                else "Layers that run faster in NHWC lose what these win."
            ),
        )


def _by_layer(run: Recorded) -> dict[tuple[int, ...], list[int]]:
    """The launches that transpose, in order, by the layers that they are for."""
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for launch in run.extras("transpose"):
        found[run.layers_of.get(launch, ())].append(launch)
    return found
