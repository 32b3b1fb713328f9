"""A chosen point made: composed, proved, tuned, judged, written, exported, timed. Importing it loads PyTorch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from headroom.change.synapses.modules import SlimConv2d, SlimLinear
from headroom.change.synapses.planning.applied import Applied, Measured
from headroom.change.synapses.planning.compose import Composed, compose
from headroom.change.synapses.planning.export import export_onnx
from headroom.change.synapses.planning.kept import Kept
from headroom.change.synapses.planning.losses import LossMeter
from headroom.change.synapses.planning.study import Study
from headroom.change.synapses.planning.tuning import finetuned
from headroom.change.synapses.stored import save_slim
from headroom.change.training import Trainer
from headroom.errors import UsageError
from headroom.figures import time

#: What whoever loads a network needs for the time that it was measured with.
_KERNELS = (
    "Layers that select their inputs were measured with kernels of ours where those are faster: put them into the "
    "loaded network with headroom.change.synapses.kernels.swap.use_kernels."
)

#: Times the dense network and the slim one in a folder; ``None`` where there is nothing to time on.
TimeBoth = Callable[[Path], Measured]


@dataclass(frozen=True, eq=False)
class Order:
    """What is to be made of a chosen point.

    Attributes:
        out: the folder for ``synapses.json`` and ``weights.pt``.
        finetune: trains the slim network.
        onnx: where to export it to.
        time_both: measures; a network that is then no faster is refused.
    """

    out: Path
    finetune: Trainer | None = None
    onnx: Path | None = None
    time_both: TimeBoth | None = None


def apply(
    network: nn.Module,
    example: torch.Tensor,
    study: Study,
    kept: Mapping[str, Kept],
    meter: LossMeter,
    order: Order,
    tell: Callable[[str], None] = lambda doing: None,
) -> tuple[nn.Module, Applied]:
    """The slim network of the chosen point, and what became of it. Nothing is written unless all of it holds.

    Raises:
        UsageError: nothing would be removed, the slim network is measured to be no faster, or a place cannot be
            written.
        ModelError: the proof or the fine-tuning fails.
    """
    if not any(study.removed()):
        raise UsageError(
            "the chosen point is the dense network: nothing is faster within that loss; allow more with --max-loss"
        )
    tell("making the slim network")
    composed = compose(network, example, study, kept)
    found, loss, tuned_loss = composed.network, meter.of(composed.network), None
    if order.finetune is not None:
        tell("fine-tuning")
        found = finetuned(found, order.finetune)
        tuned_loss = meter.of(found)
    notes = list(composed.notes)
    measured = None
    if order.time_both is not None:
        tell("measuring")
        measured = _measured(found, study, composed, order.time_both)
        if any(isinstance(each, SlimConv2d | SlimLinear) for each in found.modules()):
            notes.append(_KERNELS)
    if order.onnx is not None:
        tell("exporting")
        notes += export_onnx(found, example, order.onnx)
    tell("writing")
    _make_folder(order.out)
    files = [*save_slim(order.out, found, study.plan(), composed.smaller), *([order.onnx] if order.onnx else [])]
    applied = Applied(
        difference=composed.difference,
        output_difference=meter.output_difference(found),
        loss_points=loss,
        tuned_loss_points=tuned_loss,
        smaller=composed.smaller.layers,
        measured=measured,
        files=tuple(map(str, files)),
        notes=tuple(notes),
    )
    return found, applied


def _measured(found: nn.Module, study: Study, composed: Composed, time_both: TimeBoth) -> Measured:
    """Both networks' times; the slim one as it is loaded from a folder, which goes again.

    Raises:
        UsageError: the slim network is no faster.
    """
    with tempfile.TemporaryDirectory(prefix="headroom-slim-") as name:
        save_slim(Path(name), found, study.plan(), composed.smaller)
        measured = time_both(Path(name))
    if measured.slim_us >= measured.dense_us:
        raise UsageError(
            f"measured in turn on {measured.device}, the slim network takes {time(measured.slim_us)} and the dense "
            f"one {time(measured.dense_us)}: refused, nothing was written; plan with --measure, which times layers"
        )
    return measured


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}; choose another folder") from error
