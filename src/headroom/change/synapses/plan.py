"""What is to be removed from a network: per layer a threshold, a grain and how many synapse vectors stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headroom.change.synapses.frontier import Composition
from headroom.change.synapses.vectors import Grain
from headroom.errors import ModelError, UsageError


@dataclass(frozen=True)
class LayerPlan:
    """One layer: what a synapse vector is, the search's threshold, K, and how many stay."""

    grain: Grain
    alpha: float
    count: int
    retained: int

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1 or not 0 < self.retained <= self.count:
            raise UsageError(
                f"{self.retained} of {self.count} synapse vectors at {self.alpha} is no plan; search again"
            )


@dataclass(frozen=True)
class SynapsePlan:
    """Layers by name; those that are not named stay dense."""

    layers: Mapping[str, LayerPlan]

    @classmethod
    def of(cls, composition: Composition, grains: Mapping[str, Grain], counts: Mapping[str, int]) -> SynapsePlan:
        """The plan of one point of the front. ``counts`` are K of each layer."""
        return cls(
            {
                name: LayerPlan(grains[name], option.alpha, counts[name], option.retained)
                for name, option in composition.choices
                if option.alpha is not None
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON holds it."""
        return {
            name: {"grain": each.grain.value, "alpha": each.alpha, "count": each.count, "retained": each.retained}
            for name, each in self.layers.items()
        }

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> SynapsePlan:
        """The plan that :meth:`to_dict` gave.

        Raises:
            ModelError: it is no such thing.
        """
        try:
            return cls(
                {
                    str(name): LayerPlan(
                        Grain(each["grain"]), float(each["alpha"]), int(each["count"]), int(each["retained"])
                    )
                    for name, each in held.items()
                }
            )
        except (AttributeError, KeyError, TypeError, ValueError, UsageError) as error:
            raise ModelError(f"this is no plan of synapse vectors ({error!r}); save it again") from error
