"""The answer: every layer's ways to run, and the compositions of them that no other one beats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from headroom.change.synapses.plan import LayerPlan, SynapsePlan
from headroom.change.synapses.vectors import Grain
from headroom.errors import UsageError
from headroom.predict.prediction import Source


class LossKind(StrEnum):
    """What a loss counts, in percentage points."""

    ACCURACY = "accuracy"
    """Labels that are no longer met, less those that newly are."""
    DECISIONS = "decisions"
    """Samples whose largest output is another one than the dense network's: accuracy cannot fall by more on them."""
    OUTPUTS = "outputs"
    """How far outputs are from the dense network's, as a percentage of their size."""


@dataclass(frozen=True)
class Loss:
    """How losses were measured.

    Attributes:
        kind: what is counted.
        samples: how many samples were looked at.
        random: whether they were random numbers, which say little about real inputs.
        dense_accuracy: share of labels that the dense network meets, in percent, where there are labels.
    """

    kind: LossKind
    samples: int
    random: bool
    dense_accuracy: float | None = None

    @property
    def most_points(self) -> float:
        """What no network can lose more than: all decisions, or all of its accuracy."""
        match self.kind:
            case LossKind.ACCURACY:
                return self.dense_accuracy or 0.0
            case LossKind.DECISIONS:
                return 100.0
            case LossKind.OUTPUTS:
                return float("inf")


@dataclass(frozen=True)
class Way:
    """One way to run a layer: dense, or without some of its synapse vectors.

    Attributes:
        grain: what a synapse vector is; ``None`` for the dense layer.
        vectors: K at that grain.
        retained: how many stay.
        alpha: the threshold of the search; ``None`` for the dense layer.
        time_us: what the layer then takes, its gather included.
        error_pct: the time's error bar.
        source: where the time comes from.
        loss_points: what the network loses by it, all other layers dense, in the points of :class:`Loss`.
        output_error: how far the layer's own outputs are from the dense one's on a sample, as a share.
        gather_us: the part of ``time_us`` that selects the retained inputs; 0 where the producers leave the others out.
        tuned: whether its weights were fine-tuned by themselves.
    """

    grain: Grain | None
    vectors: int
    retained: int
    alpha: float | None
    time_us: float
    error_pct: float
    source: Source
    loss_points: float = 0.0
    output_error: float = 0.0
    gather_us: float = 0.0
    tuned: bool = False


@dataclass(frozen=True)
class LayerStudy:
    """A layer and its ways, the dense one first.

    Attributes:
        name: of the module.
        kind: of the layer.
        ways: never empty.
        producers: layers whose filters go with this one's input channels, because nobody else reads them.
        correlated: what the search correlated; empty where it did not get so far.
        transform: what makes up for what goes.
        notes: what has to be said: why the layer stays dense, which grain has no time yet.
    """

    name: str
    kind: str
    ways: tuple[Way, ...]
    producers: tuple[str, ...] = ()
    correlated: str = ""
    transform: str = ""
    notes: tuple[str, ...] = ()

    @property
    def dense(self) -> Way:
        return self.ways[0]


@dataclass(frozen=True)
class Point:
    """A composition: one way per layer by its index, and what the network then takes and loses.

    ``time_us`` counts the producers' smaller filters where they go too.
    """

    ways: tuple[int, ...]
    time_us: float
    error_pct: float
    loss_points: float


@dataclass(frozen=True)
class Study:
    """The ways of every layer of ``model``, and the front over their compositions.

    Attributes:
        rest_us: what all layers take that are not among ``layers``.
        front: by ascending time and descending loss; the dense network is its last point.
        chosen: the point that was selected, ``None`` before.
        asked: how it was selected, in words.
        system: whose measurements were asked.
        stays: layers that cannot lose synapse vectors, each with the reason.
        notes: sentences about the whole.
    """

    model: str
    gpu: str
    gpu_name: str
    dtype: str
    batch: int
    l2: str
    system: str | None
    layers: tuple[LayerStudy, ...]
    rest_us: float
    loss: Loss
    front: tuple[Point, ...]
    chosen: Point | None = None
    asked: str = ""
    stays: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def dense(self) -> Point:
        """The network as it is."""
        return next(point for point in self.front if not any(point.ways))

    def speedup(self, point: Point) -> float:
        """How many times as fast as the dense network a point is."""
        return self.dense.time_us / point.time_us

    def removed(self) -> Iterator[tuple[LayerStudy, Way]]:
        """The layers that lose synapse vectors at the chosen point, and how."""
        for layer, index in zip(self.layers, self.chosen.ways if self.chosen else (), strict=False):
            if index:
                yield layer, layer.ways[index]

    def plan(self) -> SynapsePlan:
        """The chosen point as what is saved beside a slim network."""
        return SynapsePlan(
            {
                layer.name: LayerPlan(way.grain, way.alpha, way.vectors, way.retained)
                for layer, way in self.removed()
                if way.grain is not None and way.alpha is not None
            }
        )

    def for_speedup(self, speedup: float) -> Study:
        """With the point of least loss that is so many times as fast chosen.

        Raises:
            UsageError: none is so fast, or it is no number above 0.
        """
        if not 0 < speedup < float("inf"):
            raise UsageError(f"a speedup of {speedup:g} cannot be had; ask for a number above 0, for example 1.5")
        # Times are rounded in files: the dense network is 1.0 times as fast as itself.
        bound_us = self.dense.time_us / speedup * (1 + 1e-5)
        fast = [point for point in self.front if point.time_us <= bound_us]
        if not fast:
            raise UsageError(
                f"no combination is {speedup:g} times as fast as the dense network; the fastest reaches "
                f"{self.speedup(self.front[0]):.3g}, losing {self.front[0].loss_points:.3g} points"
            )
        least = min(fast, key=lambda point: (point.loss_points, point.time_us))
        return replace(self, chosen=least, asked=f"at least {speedup:g} times as fast")

    def for_loss(self, max_loss: float) -> Study:
        """With the fastest point that loses no more chosen.

        Raises:
            UsageError: it is no number from 0.
        """
        if not 0 <= max_loss < float("inf"):
            raise UsageError(f"a loss of {max_loss:g} points means nothing; ask for 0 or more, for example 0.5")
        within = (point for point in self.front if point.loss_points <= max_loss + 1e-9)
        return replace(self, chosen=next(within), asked=f"at most {max_loss:g} points lost")

    def fastest(self, asked: str) -> Study:
        """With the fastest point chosen; ``asked`` says why."""
        return replace(self, chosen=self.front[0], asked=asked)
