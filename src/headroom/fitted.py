"""A network fitted to a GPU, as a program wants it: the plan of :func:`headroom.fit`, to look at and to carry out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.change.widths.fit import plan as engine
from headroom.text import view

if TYPE_CHECKING:
    from headroom.change.widths.fit.applying import Applied
    from headroom.change.widths.fit.targets import Target
    from headroom.report.html.fit import Trial


@dataclass(frozen=True)
class Fit(engine.Plan):
    """The plan, with what a program wants from it. ``target`` is what it was made for."""

    target: Target

    def __repr__(self) -> str:
        """One line: every point of every table would fill a screen of thousands."""
        moves = f"{len(self.widths)} of {len(self.groups)} widths move"
        return f"<Fit of {view(self.target.name, 60)} on {view(self.space.clock.gpu.name, 60)}: {moves}>"

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract (schema in ``headroom/report/schema``)."""
        from headroom.report.fit import to_dict

        return to_dict(self)

    def to_html(self, path: str | os.PathLike[str], *, trials: Iterable[Trial] = ()) -> Path:
        """Write the self-contained page.

        Args:
            trials: networks whose accuracy somebody found, drawn against their latency (Figure 8 of the paper).

        Raises:
            UsageError: the place cannot be written.
        """
        from headroom.files import write_whole
        from headroom.report.html.fit import render_fit

        return write_whole(path, render_fit(self, tuple(trials)))

    def apply(
        self,
        out: str | os.PathLike[str],
        *,
        criterion: str = "l1",
        data: str | Iterable[Any] | None = None,
        finetune: str | Callable[[Any], Any] | None = None,
        timed_on: int | None = None,
    ) -> Applied:
        """Make the network with the planned widths and write it; the original stays as it is.

        A PyTorch network becomes a folder with ``widths.json`` and ``weights.pt``, which
        :func:`headroom.change.widths.groups.load_widths` reads; an ONNX file a new file. Where channels are only added,
        the new network's outputs are first shown to be the old one's.

        Args:
            criterion: which channels are given up: ``l1``, ``batch-norm`` or ``taylor``, those of least importance.
            data: batches of ``(inputs, labels)`` for a criterion that needs them, or the address of a function that
                returns (training data, test data).
            finetune: a function, or its ``package.module:callable``, that trains the new module in place and returns
                its score or nothing, or returns the trained module.
            timed_on: the GPU of this machine on which both networks run in turns; where the new one is not faster it is
                not kept. ``None`` for no such measurement.

        Raises:
            UsageError: the plan does not help, or the place cannot be written.
            ModelError: the network cannot have these widths, or computes something else; nothing is written then.
            GpuError: timing failed; nothing is written then.
        """
        from headroom.change.training.own import own_data, own_trainer
        from headroom.change.widths.fit.applying import applied
        from headroom.change.widths.fit.targets import Tuning

        batches = own_data(data)[0] if isinstance(data, str) else data
        trainer = own_trainer(finetune) if isinstance(finetune, str) else finetune
        tuning = Tuning(criterion, self.goal.fresh, batches, trainer)
        return applied(self, self.target, Path(out), tuning, timed_on)
