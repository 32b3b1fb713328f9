"""What is left to measure, shared without a word between all who measure into the same database."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from headroom.measure.plan import Planned
from headroom.measure.task import Task

#: Whoever is not alone takes one of this many layers at random: two who both took the next would stay abreast and
#: measure everything twice. The order of value is lost no further than that.
AHEAD = 16


class Agenda:
    """Hands out layers in their order, and leaves out what somebody else has finished by then.

    Attributes:
        done_by_others: how many layers were left out.
    """

    def __init__(
        self,
        planned: Iterable[Planned],
        is_known: Callable[[Task], bool],
        on_left_out: Callable[[Task], None] = lambda task: None,
    ) -> None:
        self._left = list(planned)
        self._is_known, self._on_left_out = is_known, on_left_out
        self._is_alone = True
        self.done_by_others = 0

    def __iter__(self) -> Iterator[Planned]:
        while self._left:
            ahead = 1 if self._is_alone else min(AHEAD, len(self._left))
            item = self._left.pop(random.randrange(ahead))  # noqa: S311 - no secret
            if not self._is_known(item.task):
                yield item
                continue
            self._is_alone = False
            self.done_by_others += 1
            self._on_left_out(item.task)

    def meet(self, task: Task) -> None:
        """See whether somebody else finished ``task`` while it was measured here."""
        self._is_alone = self._is_alone and not self._is_known(task)
