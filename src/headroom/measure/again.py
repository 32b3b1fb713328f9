"""What is measured although it is known: all of it, or what failed and may not fail again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headroom.store.moments import moment
from headroom.store.rows import Status, Timing
from headroom.store.steps import DISTURBED

#: What another try may change. A library that declines will decline again, and what is hopelessly slow stays so.
RETRIED = DISTURBED | {Status.FAILED, Status.OOM}


def _this_second() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Again:
    """What of a chain's rows is left as it is by a run that measures anew.

    With ``failed_only`` rows with a time stay, unless something disturbed it; of a chain without any time none does.
    Whatever was measured after ``since``, by this run or by another one beside it, is not measured once more.
    """

    failed_only: bool = False
    since: datetime = field(default_factory=_this_second)

    @property
    def retried(self) -> frozenset[Status]:
        """Rows with which status are measured again."""
        return RETRIED if self.failed_only else frozenset(Status)

    def is_due(self, rows: Sequence[Timing]) -> bool:
        """Whether a chain with these ``rows`` is visited again. One without any was visited and says nothing."""
        return not any(map(self._is_new, rows)) and (not rows or len(self.kept(rows)) < len(rows))

    def kept(self, rows: Iterable[Timing]) -> list[Timing]:
        """Those of a chain's ``rows`` that are not measured again."""
        rows = list(rows)
        spares = self.failed_only and any(row.status is Status.OK for row in rows)
        return [row for row in rows if self._is_new(row) or (spares and row.status not in self.retried)]

    def _is_new(self, row: Timing) -> bool:
        # Rows tell whole seconds: one from the second in which this run began may be older than it.
        return moment(row.measured_at) > self.since
