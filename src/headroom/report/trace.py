"""The schedule as a Chrome trace, for Perfetto or ``chrome://tracing``.

Each answer is two processes: the parallel schedule with a thread per stream, and the same layers one after
another. Layers without a time are instant marks, so that nothing is silently left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from headroom._version import __version__
from headroom.advise.analysis import Analysis, LayerAnswer
from headroom.figures import rounded, whole
from headroom.report import summary
from headroom.report.shapes import shape_text
from headroom.text import view

Event = dict[str, Any]


def trace_chunks(analyses: Sequence[Analysis]) -> Iterator[str]:
    """The text of a trace file (JSON object format), event by event; times are microseconds."""
    yield '{"displayTimeUnit": "ns", "traceEvents": [\n'
    separator = ""
    for position, analysis in enumerate(analyses):
        for event in _events(analysis, first_process=2 * position + 1):
            yield separator + json.dumps(event, ensure_ascii=False, allow_nan=False)
            separator = ",\n"
    yield f'\n], "otherData": {json.dumps({"headroom_version": __version__})}}}\n'


def _events(analysis: Analysis, first_process: int) -> Iterator[Event]:
    title = summary.subtitle(analysis)
    yield from _process(first_process, f"Parallel schedule · {title}")
    for stream in sorted({placed.stream for placed in analysis.schedule}):
        yield _thread(first_process, stream, f"stream {stream}")
    for placed in analysis.schedule:
        answer = analysis.answers[placed.answer]
        event = _layer(answer, placed.name, first_process, placed.stream, placed.start_us)
        event["args"]["critical_path"] = placed.critical
        yield event
    yield from _process(first_process + 1, f"Sequential schedule · {title}")
    yield _thread(first_process + 1, 0, "one after another")
    yield from _sequential(analysis, first_process + 1)


def _sequential(analysis: Analysis, process: int) -> Iterator[Event]:
    occurrences = sorted(
        (index, name, position)
        for position, answer in enumerate(analysis.answers)
        for index, name in zip(answer.indices, answer.names, strict=True)
    )
    now_us = 0.0
    for _, name, position in occurrences:
        answer = analysis.answers[position]
        yield _layer(answer, name, process, 0, now_us)
        now_us += answer.prediction.time_us or 0.0


def _layer(answer: LayerAnswer, name: str, process: int, thread: int, start_us: float) -> Event:
    """A complete event (``X``), or an instant one (``i``) where the time is not known."""
    prediction = answer.prediction
    event: Event = {
        "name": view(name),
        "cat": answer.layer.kind.value,
        "pid": process,
        "tid": thread,
        "ts": rounded(start_us, 9),
    }
    if prediction.time_us is None:
        event |= {"ph": "i", "s": "t"}
    else:
        event |= {"ph": "X", "dur": rounded(prediction.time_us, 9)}
    event["args"] = {
        "operator": view(answer.layer.operator),
        "module": view(answer.layer.module),
        "shape": shape_text(answer.layer),
        "source": prediction.source.value,
        "samples": None if answer.timing is None else answer.timing.samples,
        "noisy": answer.is_noisy,
        "error_pct": rounded(prediction.error_pct),
        "bottleneck": prediction.bottleneck.value,
        "implementation": view(prediction.algorithm),
        "macs": answer.layer.macs,
        "dram_bytes": whole(prediction.dram_bytes),
    }
    return event


def _process(process: int, name: str) -> Iterator[Event]:
    yield {"ph": "M", "name": "process_name", "pid": process, "args": {"name": name}}
    yield {"ph": "M", "name": "process_sort_index", "pid": process, "args": {"sort_index": process}}


def _thread(process: int, thread: int, name: str) -> Event:
    return {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": name}}
