"""The parent's side: ask a worker to count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headroom.measure.counters.ncu import LAYER_S, START_S
from headroom.measure.counters.request import Counted, Subject
from headroom.measure.jobs import Json, run_job
from headroom.store.rows import Counters, Implementation

#: ``ncu`` is stopped by the job itself; this is for what is around it.
_AROUND_S = 30.0


@dataclass(frozen=True)
class Count:
    """What came of counting. ``refused`` is a sentence where nothing could be counted at all, which is no failure."""

    counted: tuple[Counted, ...]
    refused: str = ""


def count(subjects: Sequence[Subject], *, gpu: int = 0) -> Count:
    """Count L1, L2 and DRAM bytes, occupancy and waves of implementations, each run once from cold caches.

    Raises:
        GpuError: the worker cannot start, or died.
    """
    if not subjects:
        return Count(())
    arguments = {"subjects": [subject.to_json() for subject in subjects]}
    limit_s = START_S + LAYER_S * len(subjects) + _AROUND_S
    result = run_job("counters", arguments, gpu=gpu, limit_s=limit_s)
    pairs = zip(subjects, result["counted"], strict=False)
    return Count(tuple(_counted(subject, row) for subject, row in pairs), result["refused"])


def _counted(subject: Subject, row: Json) -> Counted:
    counters = row["counters"]
    if counters is not None:
        counters = Counters(**counters | {"implementation": Implementation(**counters["implementation"])})
    return Counted(subject, counters, row["reason"], tuple(row.get("kernels", ())))
