"""Measuring models from beginning to end: is the GPU free, what is there to do, do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.again import Again
from headroom.measure.backends import not_installed
from headroom.measure.busy import Guard
from headroom.measure.cuda.facts import system_of
from headroom.measure.driver import Driver, driver_of
from headroom.measure.fake_script import fake_facts, script_in_use
from headroom.measure.known import Known, Records
from headroom.measure.plan import ranked, wanted_tasks
from headroom.measure.sweep import Progress, SweepReport, measure_tasks
from headroom.store.rows import System

if TYPE_CHECKING:
    from headroom.gpu.spec import GpuSpec
    from headroom.measure.visit import Budgets


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to measure, and for how long.

    ``plans`` is ``all`` or ``heuristic``; ``direction`` one of :data:`~headroom.measure.gradients.DIRECTIONS`;
    ``budget_s`` the seconds after which no further layer is begun; ``shared`` lets others use the GPU meanwhile;
    ``workers`` is the number of processes, as many as pay by default; ``again`` tells what is measured although it is
    known.
    """

    plans: str = "all"
    fused: bool = True
    direction: str = "forward"
    budget_s: float | None = None
    shared: bool = False
    workers: int | None = None
    again: Again | None = None


def usual_dtype(gpu: int, nvml: Any = None) -> DataType:
    """The fastest type of 16 bits or more that networks run in on GPU ``gpu``: bf16, else fp16, else fp32.

    Raises:
        GpuError: there is no such GPU.
    """
    from headroom.gpu.sheets import gpu_of_driver

    with driver_of(gpu, nvml) as driver:
        return usual_type_of(gpu_of_driver(driver.name))


def usual_type_of(sheet: GpuSpec | None) -> DataType:
    """:func:`usual_dtype` of a GPU with this sheet; of one without, the most common."""
    fast = (DataType.BF16, DataType.FP16)
    return next((dtype for dtype in fast if sheet is None or dtype in sheet.tensor_tflops), DataType.FP32)


def measure_graphs(
    graphs: Sequence[Graph],
    dtypes: Sequence[DataType],
    records: Records,
    *,
    gpu: int = 0,
    wishes: Wishes | None = None,
    budgets: Budgets | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    nvml: Any = None,
) -> SweepReport:
    """Fill the database with every layer of ``graphs`` in each data type, as far as it is not known.

    Args:
        gpu: index of the GPU, as CUDA numbers them.
        nvml: the driver's management library, ``pynvml`` by default.

    Raises:
        GpuError: there is no such GPU, it is busy, or measuring on it fails altogether.
        StoreError: the database cannot be read or written. Layers that were written stay.
        UsageError: the GPU does not multiply a data type.
    """
    wishes = wishes or Wishes()
    with driver_of(gpu, nvml) as driver:
        wanted = [
            item
            for graph in graphs
            for dtype in dtypes
            for item in wanted_tasks(graph, dtype, plans=wishes.plans, fused=wishes.fused, direction=wishes.direction)
        ]
        system, missing = expected_system(driver), expected_missing()
        if not Known(records, system, missing, wishes.again).without(wanted):
            return SweepReport(system, skipped=len({(item.task.chain.digest, item.task.dtype) for item in wanted}))
        # Whoever has nothing to do is told so before the theory and the workers' side are imported.
        from headroom.gpu.sheets import gpu_of_driver
        from headroom.measure.crew import Crew, default_size

        size = wishes.workers or default_size(driver.memory_bytes)
        guard = Guard(driver, shared=wishes.shared)
        with Crew(gpu, budgets, size=size, admit=guard.admit) as crew:
            return measure_tasks(
                ranked(wanted, gpu_of_driver(driver.name)),
                records,
                crew,
                system=system,
                missing=missing,
                again=wishes.again,
                budget_s=wishes.budget_s,
                others=lambda: guard.others(own=crew.started),
                on_progress=on_progress,
            )


def expected_system(driver: Driver) -> System:
    """What the worker will find, from the driver and the installed packages: nothing of CUDA is loaded for it."""
    if (script := script_in_use()) is not None:
        return fake_facts(script, driver.gpu).system
    return system_of(driver.name, driver.version)


def expected_missing() -> frozenset[str]:
    """The backends that the worker will have to do without, as far as the installed packages tell."""
    if (script := script_in_use()) is not None:
        return frozenset(script.missing)
    return not_installed()
