"""The worker's side: count what it is asked for, or say in one sentence why it cannot."""

from __future__ import annotations

from dataclasses import asdict

from headroom.measure.counters.ncu import count_with_ncu
from headroom.measure.counters.parse import CountersError
from headroom.measure.counters.request import Subject
from headroom.measure.jobs import Json, Say


def run(arguments: Json, say: Say) -> Json:
    """Count ``arguments["subjects"]`` on GPU ``arguments["gpu"]``: counters or a reason for each, in order.

    Where nothing can be counted at all, ``refused`` says why and the list is empty.
    """
    subjects = [Subject.from_json(data) for data in arguments["subjects"]]
    say({"step": f"counting {len(subjects)} layers"})
    try:
        counted = count_with_ncu(subjects, int(arguments["gpu"]))
    except CountersError as error:
        return {"counted": [], "refused": str(error)}
    rows = [
        {"counters": one.counters and asdict(one.counters), "reason": one.reason, "kernels": list(one.kernels)}
        for one in counted
    ]
    return {"counted": rows, "refused": ""}
