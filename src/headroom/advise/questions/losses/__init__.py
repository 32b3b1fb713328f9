"""What a framework spends beside the model's own work: one file per kind of loss, each a line in a registry.

A detector of runs reads what was executed; a detector of graphs reads the model alone, so that it also finds what a
converter or an exporter put in before anything has run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.questions.losses.attention import composed_attention
from headroom.advise.questions.losses.casts import casts
from headroom.advise.questions.losses.constants import recomputed_constants
from headroom.advise.questions.losses.copies import copies
from headroom.advise.questions.losses.epilogues import unfused_epilogues
from headroom.advise.questions.losses.fills import fills
from headroom.advise.questions.losses.host import host_bound
from headroom.advise.questions.losses.layouts import layout_changes
from headroom.advise.questions.losses.padding import needless_padding, padding_launches
from headroom.advise.questions.losses.pooling import slow_pooling
from headroom.advise.questions.losses.repeated import repeated_layers, repeated_runs
from headroom.advise.questions.losses.stalls import stalls
from headroom.advise.questions.losses.waits import waits
from headroom.advise.recorded import Recorded

RunDetector = Callable[[Recorded], Iterable[Finding]]
GraphDetector = Callable[[Case], Iterable[Finding]]

RUN_DETECTORS: tuple[RunDetector, ...] = (
    host_bound, waits, stalls, layout_changes, casts, copies, fills, padding_launches, recomputed_constants,
    repeated_runs, composed_attention, unfused_epilogues, slow_pooling,
)  # fmt: skip

GRAPH_DETECTORS: tuple[GraphDetector, ...] = (needless_padding, repeated_layers)
