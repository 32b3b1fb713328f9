"""What held the host up in a recorded step this once, and was no work of its own: other steps tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from headroom.measure.profiles.profile import Step

#: Of a step that nothing held up, its stretches at their quieter take this share: the median over 39 recordings of two
#: steps, four of five of which lie within 0.03.
_USUAL_SHARE = 0.95

#: Below this share something held the host up: another process on its core, or a clock that was still low.
_HELD_UP_SHARE = 0.85


def own_share(step: Step, steps: Sequence[Step]) -> float:
    """The share of the host's time in ``step`` that it takes when nothing holds it up; 1 where nothing did.

    The same stretch of host time, from one launch to the next, is compared over all ``steps`` that launch the same
    number of times: what holds the host up seldom does so twice at the same place.
    """
    all_pauses = [pauses_us(each) for each in steps if len(each.launches) == len(step.launches)]
    own_us = sum(pauses_us(step))
    if len(all_pauses) < 2 or not own_us or not all(all_pauses):
        return 1.0
    quiet_us = sum(sorted(each)[(len(each) - 1) // 2] for each in zip(*all_pauses, strict=True))
    share = quiet_us / own_us
    return share / _USUAL_SHARE if share < _HELD_UP_SHARE else 1.0


def pauses_us(step: Step) -> Sequence[float]:
    """How long the host took to ask for each launch since the one before, less what it waited for the GPU.

    Nothing where a launch does not tell when it was asked for.
    """
    asked = [launch.launched_us for launch in step.launches]
    if any(moment is None for moment in asked):
        return ()
    moments = [moment or 0.0 for moment in asked]
    pauses = [0.0]
    for before_us, after_us in pairwise(moments):
        waited_us = sum(wait.duration_us for wait in step.waits if before_us <= wait.start_us < after_us)
        pauses.append(max(0.0, after_us - before_us - waited_us))
    return pauses
