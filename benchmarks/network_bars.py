"""How much of the errors of a network's layers is common to them, and whether sums' error bars hold without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headroom.predict.error_groups import HELD_SHARE
from headroom.predict.error_sums import of_sum

#: Families by what their names contain, in the order in which they are dealt; a network is of the first that fits.
FAMILIES = (
    "vgg", "resnet18 resnet34", "resnet", "dense", "inception googlenet", "alexnet zfnet", "squeezenet", "shufflenet",
    "mobilenet mnasnet", "efficientnet", "convnext", "vit bert gpt", "darknet", "",
)  # fmt: skip

Row = Mapping[str, Any]


def family_of(network: str) -> int:
    """The place of the network's family in :data:`FAMILIES`."""
    return next(i for i, names in enumerate(FAMILIES) if not names or any(name in network for name in names.split()))


def bars(rows: Sequence[Row], common_share: float) -> np.ndarray:
    """The bar of each sequential sum in percent, if layers had ``common_share`` of their errors' variance in common."""
    means = np.array([row["mean_bar_pct"] for row in rows])
    roots = np.array([row["apart_bar_pct"] for row in rows])
    return of_sum(means, roots * roots, common_share)


def off_pct(rows: Sequence[Row]) -> np.ndarray:
    return np.array([100 * abs(row["measured_us"] / row["predicted_us"] - 1) for row in rows])


def common_share_of(rows: Sequence[Row]) -> float:
    """The least share, in hundredths, with which the bars hold nine of ten of further rows like these."""
    off, needed = off_pct(rows), HELD_SHARE * (len(rows) + 1)
    shares = np.arange(101) / 100
    return float(next((share for share in shares if (off <= bars(rows, share)).sum() >= needed), 1.0))


def by_family(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Each family with the common share that the others give, and how many of its sums lie inside such bars."""
    found = []
    for place in sorted({family_of(row["network"]) for row in rows}):
        own = [row for row in rows if family_of(row["network"]) == place]
        share = common_share_of([row for row in rows if family_of(row["network"]) != place])
        inside = int((off_pct(own) <= bars(own, share)).sum())
        found.append({"family": FAMILIES[place], "sums": len(own), "common_share": share, "inside": inside})
    return found
