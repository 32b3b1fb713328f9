"""What the database knows of what is to be measured, so that nothing is measured twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from headroom.graph.tensor import DataType
from headroom.measure.again import Again
from headroom.measure.task import Task
from headroom.store.rows import Sweep, System, Timing


class Records(Protocol):
    """What the sweep needs of the performance database (:class:`headroom.store.store.Store`)."""

    def record(self, sweep: Sweep) -> object:
        """Write a layer's rows, all or none."""

    def finished(
        self, system: System, dtype: DataType, plans: str, missing: Collection[str], digests: Collection[str]
    ) -> frozenset[str]:
        """Which of these chains need no more measuring where these libraries are ``missing``; asked from several
        threads."""

    def timings(self, digest: str, system: System, dtype: DataType) -> tuple[Timing, ...]:
        """What is known of a chain; asked from several threads."""


class HasTask(Protocol):
    """What goes with a task: how often it is wanted, what it is worth."""

    @property
    def task(self) -> Task: ...


_Item = TypeVar("_Item", bound=HasTask)


@dataclass(frozen=True)
class Known:
    """What ``records`` know of ``system`` where these libraries are ``missing``, less what is wanted ``again``."""

    records: Records
    system: System
    missing: Collection[str]
    again: Again | None

    def without(self, planned: Sequence[_Item]) -> list[_Item]:
        """Those of ``planned`` that are to be measured."""
        asked: dict[tuple[DataType, str], list[Task]] = {}
        for item in planned:
            asked.setdefault((item.task.dtype, item.task.plans), []).append(item.task)
        finished = {key: self._finished(*key, tasks) for key, tasks in asked.items()}
        return [item for item in planned if item.task.chain.digest not in finished[item.task.dtype, item.task.plans]]

    def covers(self, task: Task) -> bool:
        """Whether ``task`` need not be measured, as the database has it now."""
        return bool(self._finished(task.dtype, task.plans, [task]))

    def rows(self, task: Task) -> Sequence[Timing]:
        """What is left as it is of a chain that is visited: an earlier visit may have ended early, lacked a library, or
        tried the heuristics' plans only."""
        rows = self.records.timings(task.chain.digest, self.system, task.dtype)
        return rows if self.again is None else self.again.kept(rows)

    def _finished(self, dtype: DataType, plans: str, tasks: Sequence[Task]) -> frozenset[str]:
        digests = [task.chain.digest for task in tasks]
        finished = self.records.finished(self.system, dtype, plans, self.missing, digests)
        if self.again is None:
            return finished
        timings = ((digest, self.records.timings(digest, self.system, dtype)) for digest in finished)
        return frozenset(digest for digest, rows in timings if not self.again.is_due(rows))
