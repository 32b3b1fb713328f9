"""Rows of one network and variant, and what a page says of their accuracy."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

Rows = Sequence[dict[str, Any]]


def of(trained: Rows, network: str, variant: str) -> list[dict[str, Any]]:
    return [row for row in trained if row["network"] == network and row["variant"] == variant]


def mean(rows: Iterable[dict[str, Any]]) -> float:
    return statistics.mean(row["accuracy_pct"] for row in rows)


def accuracy(rows: Rows) -> str:
    """The mean over seeds, and from where to where."""
    if not rows:
        return "not trained yet"
    values = [row["accuracy_pct"] for row in rows]
    return f"{statistics.mean(values):.2f} ({min(values):.2f}-{max(values):.2f}, {len(values)} seeds)"
