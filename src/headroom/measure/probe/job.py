"""The job ``probe``: every experiment in turn, each for itself, in the worker.

An experiment whose answer is wrong is told as a failure and adds no figure; the others go on.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from functools import partial

from headroom.errors import HeadroomError
from headroom.measure.jobs import Json, Say
from headroom.measure.kernels.launch import Launcher
from headroom.measure.probe import bandwidth, facts, latency, launches, library, rates, traffic
from headroom.measure.probe.bench import ProbeBench, WrongAnswerError
from headroom.measure.probe.curve import Curve
from headroom.measure.probe.result import Figure, Findings, Probe

Experiment = Callable[[ProbeBench], Findings]


def experiments() -> Iterator[tuple[str, Experiment]]:
    """Every experiment with its name, in the order in which they run."""
    yield "facts", facts.facts
    yield "L1 bandwidth", bandwidth.l1
    yield "shared memory bandwidth", bandwidth.shared
    yield "L2 and DRAM bandwidth", bandwidth.l2_and_dram
    yield "latency of L1, L2 and DRAM", latency.global_memory
    yield "latency of shared memory", latency.shared
    yield "latency under traffic", traffic.dram
    yield "launches", launches.launches
    for kind in rates.PLAIN_KINDS:
        yield f"multiply-adds in {kind}", partial(rates.plain, kind=kind)
    for kind in rates.TENSOR_KINDS:
        yield f"tensor cores in {kind}", partial(rates.mma, kind=kind)
        yield f"warpgroups' tensor cores in {kind}", partial(rates.wgmma, kind=kind)
        yield f"the library's product in {kind}", partial(library.gemm, kind=kind)


def run(arguments: Json, say: Say) -> Json:
    """Probe GPU ``arguments["gpu"]``, briefly with ``arguments["quick"]``.

    Raises:
        GpuError: there is no GPU, or a library is missing.
    """
    bench = ProbeBench(Launcher(int(arguments.get("gpu", 0))), quick=bool(arguments.get("quick", False)))
    return probe(bench, say).to_json()


def probe(bench: ProbeBench, say: Say) -> Probe:
    """Every experiment on ``bench``; ``say`` is told each by its name."""
    begin = time.monotonic()
    figures: list[Figure] = []
    curves: list[Curve] = []
    failures: dict[str, str] = {}
    for name, experiment in experiments():
        say({"step": name})
        try:
            found = experiment(bench)
        except (WrongAnswerError, HeadroomError) as error:
            failures[name] = str(error)
            continue
        except Exception as error:  # noqa: BLE001 - the libraries' own errors; after a lost context, all that follow
            failures[name] = f"{type(error).__name__}: {error}"
            continue
        figures += found.figures
        curves += found.curves
        bench.forget()
    return Probe(
        gpu=bench.launcher.properties.name,
        driver=facts.driver_version(),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        compute_capability="{}.{}".format(*bench.launcher.capability),
        quick=bench.quick,
        figures=tuple(figures),
        curves=tuple(curves),
        failures=failures,
        seconds=time.monotonic() - begin,
    )
