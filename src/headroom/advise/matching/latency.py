"""What a step took as its user sees it."""

from __future__ import annotations

from headroom.measure.profiles.profile import Profile, Step


def step_latency_us(profile: Profile, step: Step) -> float:
    """From this step's start to the next one's, or until its own last launch ends if that is later.

    A step that had to wait for the GPU to end the one before counts from that end: a host that runs ahead of the GPU
    adds nothing to the time that each step takes.
    """
    place = next(index for index, each in enumerate(profile.steps) if each is step)
    began_us = max([step.start_us, *(_ended_us(each) for each in profile.steps[:place])])
    busy_us = max(step.start_us + step.duration_us, _ended_us(step)) - began_us
    if place + 1 < len(profile.steps):
        return max(busy_us, profile.steps[place + 1].start_us - step.start_us)
    return max(busy_us, 0.0)


def _ended_us(step: Step) -> float:
    return max((launch.end_us for launch in step.launches), default=step.start_us)
