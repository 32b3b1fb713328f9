"""How long the rest of a run will take, from what it has taken so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from headroom.measure.task import Task

#: Seconds that a layer is expected to take before any like it was measured, on a recent data-centre GPU.
_GEMM_S = {"all": 1.0, "heuristic": 0.4, "likely": 0.4}
_OTHER_S = 0.3

#: How many measured layers the expectation weighs as much as.
_WEIGHT = 2

#: Whether a task's layer is a product, which has many implementations, and which plans are tried.
_Kind = tuple[bool, str]


class Pace:
    """Seconds per layer of each kind. Sums are kept, not lists: it is asked before each of thousands of layers."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        """``tasks`` are all that the run may begin."""
        self._left = Counter(_kind(task) for task in tasks)
        self._measured: Counter[_Kind] = Counter()
        self._spent_s: dict[_Kind, float] = {}

    @property
    def left_s(self) -> float:
        """Seconds that one worker will need for what has not begun yet."""
        return sum(count * self._expected_s(kind) for kind, count in self._left.items())

    def began(self, task: Task) -> None:
        self._left[_kind(task)] -= 1

    def took(self, task: Task, seconds: float) -> None:
        kind = _kind(task)
        self._measured[kind] += 1
        self._spent_s[kind] = self._spent_s.get(kind, 0.0) + seconds

    def expects(self, task: Task) -> float:
        """Seconds that a layer like ``task`` will take."""
        return self._expected_s(_kind(task))

    def _expected_s(self, kind: _Kind) -> float:
        is_gemm, plans = kind
        prior_s = _GEMM_S[plans] if is_gemm else _OTHER_S
        return (_WEIGHT * prior_s + self._spent_s.get(kind, 0.0)) / (_WEIGHT + self._measured[kind])


def _kind(task: Task) -> _Kind:
    return task.chain.anchor.kind.computes_gemm, task.plans
