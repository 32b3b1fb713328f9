"""Benanza's tables as a source to merge into a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from headroom.errors import ModelError
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.benanza.chains import biased, chains_of, written_shape
from headroom.store.benanza.table import Kind, read_tables
from headroom.store.benanza.timed import TimedCall, read_algorithms, read_calls, read_times, timing
from headroom.store.record import ChainRecord
from headroom.store.rows import METHOD, Implementation, NetworkTiming, System, Timing


class BenanzaSource:
    """The calls that ``paths`` tell of, read and checked as a whole when it is opened.

    ``kernels`` and ``kernel_times`` must be among the tables; ``conv_algos`` adds the slower algorithms. A convolution
    with bias, which models have as one layer, is the sum of the two calls that Benanza runs for it.

    Raises:
        ModelError: a table is missing, cut off, or has a value that does not fit; it names file and line.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(str(path) for path in paths)
        tables = read_tables(paths, (Kind.KERNELS, Kind.TIMES, Kind.ALGORITHMS))
        for kind in (Kind.KERNELS, Kind.TIMES):
            if not tables[kind]:
                raise ModelError(f"no rows of Benanza's table '{kind}' in {self.name}: name that file too")
        timed = [each for _, each in read_times(tables[Kind.TIMES], read_calls(tables[Kind.KERNELS]))]
        systems = list(dict.fromkeys(each.system for each in timed))
        listed = read_algorithms(tables[Kind.ALGORITHMS], systems)
        # Of rows with the same key the first stands: Benanza's totals are made of the fastest in kernel_times.
        self._records = _records([*sorted(timed, key=_time_us), *sorted(listed, key=_time_us)])

    def systems(self) -> Mapping[str, System]:
        return {record.system.id: record.system for record in self._records}

    def chains(self) -> Iterable[tuple[str, Chain | None]]:
        return [(record.chain.digest, record.chain) for record in self._records]

    def records(self) -> Iterator[ChainRecord]:
        return iter(self._records)

    def networks(self) -> Iterator[tuple[System, NetworkTiming]]:
        return iter(())


_Place = tuple[System, Chain, DataType]


def _records(timed: Sequence[TimedCall]) -> list[ChainRecord]:
    found: dict[_Place, dict[Implementation, Timing]] = {}
    for each in timed:
        for chain in chains_of(each.call):
            found.setdefault((each.system, chain, each.call.dtype), {}).setdefault(
                each.implementation(each.call.name), each.timing
            )
    for place, row in _biased(timed):
        found.setdefault(place, {}).setdefault(row.implementation, row)
    return [
        ChainRecord(system, chain, dtype, METHOD, timings=tuple(rows.values()))
        for (system, chain, dtype), rows in found.items()
    ]


def _biased(timed: Sequence[TimedCall]) -> Iterator[tuple[_Place, Timing]]:
    """Each convolution with the addition of the bias that fits what it writes, in the same run."""
    additions = {
        (each.system, each.run_batch, each.call.dtype, each.call.sizes): each
        for each in reversed(timed)
        if each.call.function == "ADD_TENSOR"
    }
    for each in timed:
        if each.call.function != "CONV_FWD":
            continue
        addition = additions.get((each.system, each.run_batch, each.call.dtype, written_shape(each.call)))
        if addition is not None and each.time_us and addition.time_us:
            yield (
                (each.system, biased(each.call), each.call.dtype),
                timing(
                    each.implementation(f"{each.call.name} + {addition.call.name}"),
                    each.time_us + addition.time_us,
                    min(each.launches, addition.launches),
                    each.workspace_bytes,
                ),
            )


def _time_us(timed: TimedCall) -> float:
    return timed.time_us
