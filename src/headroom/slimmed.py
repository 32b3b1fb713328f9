"""Slim networks as a program wants them: the answer of :func:`headroom.slim`, to choose from and to make."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.advise.findings.common import counted
from headroom.change.synapses.planning.applied import Applied, Measured
from headroom.change.synapses.planning.study import Study
from headroom.errors import UsageError
from headroom.graph.tensor import DataType
from headroom.text import view

if TYPE_CHECKING:
    from torch import nn

    from headroom.change.synapses.planning.kept import Kept
    from headroom.change.synapses.planning.subject import Subject

Finetune = Callable[["nn.Module"], float | None]


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

        if self._every is None or self._subject is None:
            raise UsageError("a front that was loaded is in its file already; copy that and what lies beside it")
        place = Path(path)
        write_kept(place, self._every(), self._subject.network)
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
        from headroom.change.synapses.planning.workers import worker_on

        subject = self._subject
        if subject is None:
            raise UsageError("this front is of a file; load it with its network: load_frontier(path, network)")
        if self.study.chosen is None:
            raise UsageError("no point of the front is chosen; choose with for_speedup or for_loss")
        if measure and not subject.target:
            raise UsageError("a network is measured in a process of its own: give it as package.module:callable")
        dtype, shape = DataType(self.study.dtype), (self.study.batch, *subject.example.shape[1:])
        with worker_on(index, shared=shared, wanted=measure) as worker:

            def both(folder: Path) -> Measured:
                from headroom.change.synapses.planning.timing import time_networks

                return time_networks(worker, subject.target, folder, shape, dtype, index)

            order = Order(
                out=Path(out),
                finetune=trainer_of(finetune),
                onnx=None if onnx is None else Path(onnx),
                time_both=both if measure else None,
            )
            meter = LossMeter(subject.network, subject.batches)
            kept = self._kept(self.study)
            network, applied = apply(subject.network, subject.example, self.study, kept, meter, order, tell)
        return network, replace(self, applied=applied)


def trainer_of(given: str | Finetune | None) -> Finetune | None:
    """The user's training function."""
    if not isinstance(given, str):
        return given
    from headroom.change.training import own_trainer

    found: Finetune = own_trainer(given)
    return found
