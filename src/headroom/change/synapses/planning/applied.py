"""What became of a plan: the proof, the losses as measured, the times, the files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """The dense and the slim network, timed in turn in one run.

    Attributes:
        device: what ran them.
        dense_us, slim_us: medians per inference.
        noise_pct: the wider interquartile range of the two, in percent.
    """

    device: str
    dense_us: float
    slim_us: float
    noise_pct: float

    @property
    def speedup(self) -> float:
        return self.dense_us / self.slim_us


@dataclass(frozen=True)
class Applied:
    """A slim network that was made.

    Attributes:
        difference: from the dense network with zeros for what went, in float64, as a share of the largest output.
        output_difference: from the dense network on the held-out batches, as a share of the outputs' size.
        loss_points: what it loses altogether, all layers at once, in the points of the study's loss.
        tuned_loss_points: the same after fine-tuning; ``None`` where nobody tuned it.
        smaller: layers that are ordinary smaller ones now, their producers' filters gone.
        measured: both networks' times; ``None`` where nothing could measure them.
        files: what was written.
        notes: what has to be said.
    """

    difference: float
    output_difference: float
    loss_points: float
    tuned_loss_points: float | None
    smaller: tuple[str, ...]
    measured: Measured | None
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
