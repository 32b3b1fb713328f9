"""What Benanza timed: each call with its time on a GPU, and the key under which the database holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headroom.errors import ModelError
from headroom.store.benanza.call import CONVOLUTION_ALGORITHMS, Call, call_of
from headroom.store.benanza.chains import chains_of
from headroom.store.benanza.table import Row
from headroom.store.check import LEAST_SAMPLES
from headroom.store.rows import Implementation, Status, System, Timing


@dataclass(frozen=True, slots=True)
class TimedCall:
    """``call`` took ``time_us`` on average over ``launches`` in the run of ``run_batch`` on ``system``.

    A time of 0 is that of a call that did not run. ``advised`` is the algorithm that cuDNN's heuristic would have
    picked, where it was asked.
    """

    system: System
    run_batch: int
    call: Call
    time_us: float
    launches: int
    workspace_bytes: int | None
    advised: str | None = None

    @property
    def key(self) -> tuple[System, str, Implementation]:
        """System, chain digest and implementation: where the database has this time."""
        return self.system, chains_of(self.call)[0].digest, self.implementation(self.call.name)

    def implementation(self, name: str) -> Implementation:
        """One call timed in the runs of several batches (Benanza loses the batch of some layers) is several rows."""
        call = self.call
        run = "" if self.run_batch == call.batch else f", run of batch {self.run_batch}"
        return Implementation(call.library, name + run, "nchw" if len(call.sizes) == 4 else "", call.math)

    @property
    def timing(self) -> Timing:
        return timing(self.implementation(self.call.name), self.time_us, self.launches, self.workspace_bytes)


def timing(implementation: Implementation, time_us: float, launches: int, workspace_bytes: int | None) -> Timing:
    """A row of the database. Benanza tells the mean of many launches and no spread; it never empties the L2 cache."""
    if time_us == 0:
        return Timing(implementation, "warm", Status.FAILED, "listed with a time of 0: it did not run")
    too_few = launches < LEAST_SAMPLES
    return Timing(
        implementation,
        l2="warm",
        status=Status.UNSTABLE if too_few else Status.OK,
        reason=f"the mean of {launches} launches, fewer than {LEAST_SAMPLES}" if too_few else "",
        median_us=time_us,
        samples=launches,
        workspace_bytes=workspace_bytes,
    )


def read_calls(rows: Sequence[Row]) -> dict[str, Call]:
    """The calls of the table ``kernels`` by their ids.

    Raises:
        ModelError: one is unknown, or two have the same id.
    """
    calls: dict[str, Call] = {}
    for row in rows:
        name, call = row.word("kernel_id"), call_of(row)
        if calls.setdefault(name, call) != call:
            raise ModelError(f"{row.place}: kernel_id {name} is another call elsewhere; import the two tables apart")
    return calls


def read_times(rows: Sequence[Row], calls: Mapping[str, Call]) -> Iterator[tuple[str, TimedCall]]:
    """Every row of ``kernel_times`` with the id of its call; the fastest of several of one call in one run, as Benanza.

    Raises:
        ModelError: a value is absurd, or a call is not in ``kernels``.
    """
    fastest: dict[tuple[System, int, str], TimedCall] = {}
    for row in rows:
        name = row.word("kernel_id")
        if name not in calls:
            raise row.error("kernel_id", "a call that the table 'kernels' describes")
        system = System(gpu_name(row), "", row.version("cuda_runtime"), row.version("cudnn"), "", "")
        timed = TimedCall(
            system, row.whole("batch", 1), calls[name], _time_us(row), row.whole("iterations"),
            row.optional("workspace_bytes"), _advised(row),
        )  # fmt: skip
        key = system, timed.run_batch, name
        if key not in fastest or timed.time_us < fastest[key].time_us:
            fastest[key] = timed
    for (_, _, name), timed in fastest.items():
        yield name, timed


def read_algorithms(rows: Sequence[Row], systems: Sequence[System]) -> Iterator[TimedCall]:
    """Every row of ``conv_algos``, which does not tell CUDA's version: it is that of ``systems`` where one fits.

    Raises:
        ModelError: a value is absurd.
    """
    for row in rows:
        gpu, cudnn = gpu_name(row), row.version("cudnn")
        fitting = [system for system in systems if (system.gpu, system.cudnn) == (gpu, cudnn)]
        system = fitting[0] if len(fitting) == 1 else System(gpu, "", "", cudnn, "", "")
        yield TimedCall(
            system, row.whole("batch", 1), call_of(row), _time_us(row), row.whole("iterations"),
            row.optional("workspace_bytes"),
        )  # fmt: skip


def gpu_name(row: Row) -> str:
    """The GPU as NVIDIA's driver calls it: Benanza's folders have ``_`` for its spaces."""
    return row.word("gpu").replace("_", " ")


def _time_us(row: Row) -> float:
    if row.values.get("unit", "ns") != "ns":
        raise row.error("unit", "ns")
    return row.time("real_ns") / 1e3


def _advised(row: Row) -> str | None:
    if row.text("advised_algo") == "":
        return None
    number = row.whole("advised_algo", -1, len(CONVOLUTION_ALGORITHMS) - 1)
    return None if number < 0 else CONVOLUTION_ALGORITHMS[number]
