"""Whether a time that somebody else's program tells can be one: what no GPU does is no measurement."""

from __future__ import annotations

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.floor import floor_of
from headroom.store.rows import Status, System, Timing

#: No kernel is shorter, in microseconds.
SHORTEST_US = 0.3

#: Nobody waits longer for one launch, in microseconds.
LONGEST_US = 60e6

#: Samples below which a median means nothing, and the share of it beyond which its spread is no result.
LEAST_SAMPLES = 10
MOST_NOISE = 0.25

#: No data type is checked more loosely, and nothing is named or explained at greater length.
MOST_TOLERANCE = 0.5
LONGEST_TEXT = 1000

_CLOCKS_MHZ = (50.0, 20_000.0)


def objection(timing: Timing, chain: Chain, dtype: DataType, system: System) -> str:
    """What is wrong with ``timing``, in a few words; empty where it may be right."""
    if timing.l2 not in ("warm", "cold"):
        return f"its state of the L2 cache is {timing.l2[:20]!r}, neither warm nor cold"
    if wrong := _unlikely_words(timing):
        return wrong
    if min(timing.workspace_bytes or 0, timing.throttle_mask or 0) < 0:
        return "its workspace or its clock events are below nothing"
    if timing.status is not Status.OK:
        return ""
    median_us, iqr_us = timing.median_us, timing.iqr_us
    if median_us is None or iqr_us is None:
        return "it is ok and has no time or no spread"
    if not SHORTEST_US <= median_us <= LONGEST_US:
        return f"its time of {median_us:g} us is outside of what a launch takes, {SHORTEST_US:g} us to a minute"
    if timing.samples < LEAST_SAMPLES:
        return f"it is ok with {timing.samples} samples; {LEAST_SAMPLES} are needed"
    if not 0 <= iqr_us <= MOST_NOISE * median_us:
        return f"it is ok with a spread of {iqr_us:g} us around {median_us:g} us"
    error, tolerance = timing.relative_error, timing.tolerance
    if error is None or tolerance is None or not 0 <= error <= tolerance <= MOST_TOLERANCE:
        return "it is ok although its output was not found right"
    clock = timing.sm_clock_mhz
    if clock is not None and not _CLOCKS_MHZ[0] <= clock <= _CLOCKS_MHZ[1]:
        return f"its clock of {clock:g} MHz is none"
    floor = floor_of(chain, dtype, system, timing.l2)
    if median_us < floor.us:
        return f"its time of {median_us:g} us is below the {floor.us:.3g} us that {floor.reason}"
    return ""


def _unlikely_words(timing: Timing) -> str:
    implementation = timing.implementation
    for text in (implementation.name, implementation.layout, implementation.math, timing.reason):
        if len(text) > LONGEST_TEXT:
            return f"it has a text of {len(text)} characters; {LONGEST_TEXT} are the most"
        if not text.isprintable():
            return f"it has a text that cannot be printed: {text[:40]!a}"
    return ""
