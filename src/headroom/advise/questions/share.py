"""What share do cuDNN and cuBLAS cover, and is the model bound by the host? (Benanza's second chart, question 8.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headroom import figures
from headroom.advise.case import Case
from headroom.advise.findings.common import counted
from headroom.advise.kernel_names import Library, library_of
from headroom.advise.questions.answer import Answer, Table
from headroom.advise.questions.host import Pair, host_finding, host_sentence, run_in_two_ways, waits_for_the_host
from headroom.advise.recorded import Recorded
from headroom.graph.kinds import LayerKind
from headroom.measure.profiles.profile import LaunchKind
from headroom.store.rows import Timing

QUESTION = "What share do cuDNN and cuBLAS cover, and does the model wait for the host?"

#: Kinds of layer that a library has a function for.
_FUNCTIONS: Mapping[LayerKind, str] = {
    LayerKind.CONVOLUTION: "cuDNN",
    LayerKind.MATMUL: "cuBLAS",
    LayerKind.MATVEC: "cuBLAS",
    LayerKind.ATTENTION: "cuDNN",
    LayerKind.RECURRENT: "cuDNN",
    LayerKind.NORMALIZATION: "cuDNN",
    LayerKind.POOLING: "cuDNN",
    LayerKind.SOFTMAX: "cuDNN",
    LayerKind.ACTIVATION: "cuDNN",
    LayerKind.ELEMENTWISE: "cuDNN",
    LayerKind.REDUCTION: "cuDNN",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """Layers or launches of one library and the time that they take."""

    name: str
    number: int
    time_us: float


def share(case: Case) -> Answer:
    """Layers and time by library: of the user's run where there is a profile, of the fastest implementations else."""
    run = Recorded.of(case)
    tables = [
        _kind_table(case),
        _part_table("Fastest implementation of each layer, by library", _winners(case), "layers"),
    ]
    if run is not None:
        tables.append(_part_table("Kernels of your run, by library", _launched(run), "launches"))
    pair = None if run is not None else run_in_two_ways(case)
    findings = (host_finding(case, *pair),) if pair is not None and waits_for_the_host(*pair) else ()
    sentence = f"{_library_sentence(case, run)} {host_sentence(run, pair)}".strip()
    return Answer(8, QUESTION, sentence, findings, tuple(tables), needs=_needs(run, pair))


def _library_sentence(case: Case, run: Recorded | None) -> str:
    working = len(case.timed.graph.working_layers)
    if not working:
        return "This model has no layer that does any work."
    has = sum(c.count for c in case.timed.graph.configurations if c.layer.kind in _FUNCTIONS)
    sentences = [f"cuDNN and cuBLAS have functions for {has} of its {counted(working, 'layer')}."]
    for parts, what in ((_winners(case), "the fastest implementations"), (_launched(run), "your run")):
        total_us = sum(part.time_us for part in parts if part.name != _UNTOLD)
        if total_us:
            theirs_us = sum(part.time_us for part in parts if part.name in (Library.CUDNN, Library.CUBLAS))
            sentences.append(f"Of the time of {what}, {figures.percent(theirs_us / total_us)} is in their kernels.")
    return " ".join(sentences)


_UNTOLD = "not measured"


def _winners(case: Case) -> list[_Part]:
    """Working layers by the library of their fastest implementation."""
    parts: list[_Part] = []
    for index, (configuration, prediction) in enumerate(case.timed.pairs()):
        timing = case.timed.timing(index)
        name = _UNTOLD if timing is None else str(_library(timing))
        parts.append(_Part(name, configuration.count, (prediction.time_us or 0.0) * configuration.count))
    return _summed(parts)


def _library(timing: Timing) -> Library:
    """The library of an implementation's kernels, as far as their names tell: PyTorch's operators call the others."""
    found = [library_of(kernel.name) for kernel in timing.kernels]
    known = [library for library in found if library is not Library.OTHER]
    if known:
        return next((library for library in known if library in (Library.CUDNN, Library.CUBLAS)), known[0])
    backends = {"cudnn": Library.CUDNN, "cudnn-legacy": Library.CUDNN, "cublaslt": Library.CUBLAS}
    return backends.get(timing.implementation.backend, Library.OTHER)


def _launched(run: Recorded | None) -> list[_Part]:
    """Launches of a run by library; copies and fills are the driver's."""
    launches = () if run is None else run.step.launches
    return _summed(
        _Part(str(library_of(each.name)) if each.kind is LaunchKind.KERNEL else "copies and fills", 1, each.duration_us)
        for each in launches
    )


def _summed(parts: Iterable[_Part]) -> list[_Part]:
    """One part per name, the longest first."""
    sums: dict[str, _Part] = {}
    for part in parts:
        before = sums.get(part.name, _Part(part.name, 0, 0.0))
        sums[part.name] = _Part(part.name, before.number + part.number, before.time_us + part.time_us)
    return sorted(sums.values(), key=lambda part: (-part.time_us, part.name))


def _kind_table(case: Case) -> Table:
    """The slides' table: which kinds of layer the libraries have functions for."""
    numbers: dict[LayerKind, _Part] = {}
    for configuration, prediction in case.timed.pairs():
        kind = configuration.layer.kind
        before = numbers.get(kind, _Part(str(kind), 0, 0.0))
        time_us = before.time_us + (prediction.time_us or 0.0) * configuration.count
        numbers[kind] = _Part(str(kind), before.number + configuration.count, time_us)
    layers = sum(part.number for part in numbers.values()) or 1
    total_us = sum(part.time_us for part in numbers.values()) or 1.0
    ordered = sorted(numbers.items(), key=lambda item: (-item[1].time_us, item[0]))
    return Table(
        title="Kinds of layer that the libraries have functions for",
        heads=("kind", "library", "layers", "share of layers pct", "time us", "share of time pct"),
        rows=tuple(
            (part.name, _FUNCTIONS.get(kind), part.number, 100 * part.number / layers, part.time_us,
             100 * part.time_us / total_us)
            for kind, part in ordered
        ),
        note="Of the layers one by one at their fastest. A function that exists is not always the fastest kernel.",
    )  # fmt: skip


def _part_table(title: str, parts: list[_Part], what: str) -> Table:
    number, total_us = sum(part.number for part in parts) or 1, sum(part.time_us for part in parts) or 1.0
    return Table(
        title=title,
        heads=("library", what, f"share of {what} pct", "time us", "share of time pct"),
        rows=tuple(
            (part.name, part.number, 100 * part.number / number, part.time_us, 100 * part.time_us / total_us)
            for part in parts
        ),
        note="By the names of the kernels that it launches, whoever calls them.",
    )


def _needs(run: Recorded | None, pair: Pair | None) -> str:
    if run is not None or pair is not None:
        return ""
    return (
        "Whether the model waits for the host shows in a profile (`headroom analyze MODEL --profile TRACE`) or when "
        "frameworks run it (`headroom measure MODEL --network`)."
    )
