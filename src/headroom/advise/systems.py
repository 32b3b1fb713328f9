"""Which system answers where several have the GPU: the one that knows most of the model that is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headroom.advise.asked import asked_digests
from headroom.advise.measurements import OtherSystem
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.store.moments import moment

if TYPE_CHECKING:
    from headroom.store.several import Stores
    from headroom.store.summaries import SystemSummary


def systems_by_knowledge(
    store: Stores, systems: Sequence[SystemSummary], graph: Graph, dtype: DataType, l2: str
) -> list[OtherSystem]:
    """``systems`` with how much each knows of ``graph`` in ``dtype`` and this L2 state; who should answer is first.

    That is the one with times of most layers and chains; where none has any, the one with most in other data types, by
    which predictions are corrected. Of equals the one in the user's own database is, then the one measured last.
    """
    if len(systems) < 2:
        return [OtherSystem(summary.system, 0) for summary in systems]
    digests = asked_digests(graph)
    ranked = []
    for summary in systems:
        timed = [state for (_, *state), is_timed in store.known(summary.system, digests).items() if is_timed]
        here = timed.count([dtype, l2])
        rank = (here, 0 if here else len(timed), -store.place_of(summary.system), moment(summary.last_measured))
        ranked.append((rank, OtherSystem(summary.system, here)))
    return [other for _, other in sorted(ranked, key=lambda pair: pair[0], reverse=True)]
