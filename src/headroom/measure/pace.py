"""How long the rest of a run will take, from what it has taken so far."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.measure.task import Task

#: Seconds that a layer is expected to take before any like it was measured, on a recent data-centre GPU.
_GEMM_S = {"all": 1.0, "heuristic": 0.4}
_OTHER_S = 0.3

#: How many measured layers the expectation weighs as much as.
_WEIGHT = 2


class Pace:
    """Seconds per layer: products, which have many implementations, and the rest."""

    def __init__(self) -> None:
        self._seen: dict[tuple[bool, str], list[float]] = {}

    def took(self, task: Task, seconds: float) -> None:
        self._seen.setdefault(_class(task), []).append(seconds)

    def expects(self, task: Task) -> float:
        """Seconds that a layer like ``task`` will take."""
        is_gemm, plans = kind = _class(task)
        seen = self._seen.get(kind, [])
        prior = _GEMM_S[plans] if is_gemm else _OTHER_S
        return (_WEIGHT * prior + sum(seen)) / (_WEIGHT + len(seen))

    def expects_all(self, tasks: Iterable[Task]) -> float:
        return sum(self.expects(task) for task in tasks)


def _class(task: Task) -> tuple[bool, str]:
    return task.chain.anchor.kind.computes_gemm, task.plans
