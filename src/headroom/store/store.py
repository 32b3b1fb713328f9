"""The performance database, opened: what is measured goes in, a layer at a time, and answers come out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from headroom.errors import StoreError
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store import read, summaries
from headroom.store.browse import ChainFound, select_chains
from headroom.store.choose import named, of_gpu
from headroom.store.connect import Database
from headroom.store.default import own_place
from headroom.store.place import Place, find_place
from headroom.store.record import ChainRecord
from headroom.store.rows import METHOD, Counters, NetworkTiming, Sweep, System, Timing
from headroom.store.schema import prepare
from headroom.store.summaries import Holding, SystemSummary
from headroom.store.walk import walk_networks, walk_records
from headroom.store.write import put_network, put_record, put_sweep

if TYPE_CHECKING:
    from pandas import DataFrame


class Store:
    """One database. Owns its connections: close it, or use it as a context manager.

    Whatever is recorded is on disk when the method returns. Rows measured by another version of the method are kept
    but not read. Everything that can go wrong with the database is a :class:`StoreError`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, where: str | os.PathLike[str] | None = None, *, read_only: bool = False) -> Store:
        """Open the database at ``where``, making it where there is none unless ``read_only``.

        Args:
            where: a path, ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``; by default ``$HEADROOM_DB``, or the
                file in the user's data folder. What was shipped in the package is not in it but read beside it
                (:func:`headroom.store.default.open_for_reading`).

        Raises:
            StoreError: it cannot be opened, is not a performance database, or is one of a newer Headroom.
        """
        return cls.at(own_place() if where is None else find_place(where), read_only=read_only)

    @classmethod
    def at(cls, place: Place, *, read_only: bool = False) -> Store:
        """Open the database at a place that has been found, as :meth:`open` does."""
        if place.file is not None:
            _check_file(place.file, read_only)
        database = Database(place, read_only=read_only)
        try:
            prepare(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def name(self) -> str:
        """Where it is, without a password."""
        return self.database.name

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def record(self, sweep: Sweep) -> None:
        """Write a visit to one chain, whole or not at all.

        Rows of the same key are replaced, and so is what earlier visits said of steps (:mod:`headroom.store.steps`).
        """
        with self.database.writing() as connection:
            put_sweep(connection, sweep)

    def record_network(self, system: System, timing: NetworkTiming) -> None:
        """Write a whole network's time in place of the one of the same graph, data type and mode."""
        with self.database.writing() as connection:
            put_network(connection, system, timing)

    def record_counters(self, system: System, chain: Chain, dtype: DataType, counters: Iterable[Counters]) -> None:
        """Write what the hardware counted for implementations of a chain."""
        with self.database.writing() as connection:
            put_record(connection, ChainRecord(system, chain, dtype, METHOD, counters=tuple(counters)))

    def finished(
        self,
        system: System,
        dtype: DataType,
        plans: str,
        missing: Collection[str] = (),
        digests: Collection[str] | None = None,
    ) -> frozenset[str]:
        """Digests of the chains that a run of ``plans`` need not visit again; ``all`` covers every other.

        Args:
            missing: libraries that cannot be used: a chain is finished although they were missing when it was measured.
            digests: the chains that are asked about; all of them by default.
        """
        with self.database.reading() as connection:
            return read.select_finished(connection, system, dtype, plans, missing, digests)

    def holds(self, system: System) -> bool:
        """Whether anything was ever measured on ``system``."""
        with self.database.reading() as connection:
            return read.select_holds(connection, system)

    def known(self, system: System, digests: Collection[str] | None = None) -> dict[tuple[str, DataType, str], bool]:
        """Of which chains (digest), in which data type and state of the L2 cache, there are rows, and whether one of
        them has a time that counts; of all chains unless ``digests`` names some."""
        with self.database.reading() as connection:
            return read.select_known(connection, system, digests)

    def timings(self, digest: str, system: System, dtype: DataType, l2: str | None = None) -> tuple[Timing, ...]:
        """Every row of one chain, fastest first, those without a time last; of both L2 states unless one is named."""
        with self.database.reading() as connection:
            return read.select_timings(connection, digest, system, dtype, l2)

    def best(self, system: System, dtype: DataType, l2: str, digests: Iterable[str]) -> dict[str, Timing]:
        """The fastest timing with status ``ok`` of each chain that has one, by digest."""
        with self.database.reading() as connection:
            return read.select_best(connection, system, dtype, l2, digests)

    def systems(self, gpu: str | None = None) -> tuple[SystemSummary, ...]:
        """What is known of each system, the last measured first.

        Args:
            gpu: only systems with this GPU: a sheet's id, the beginning of one, or the driver's name.
        """
        with self.database.reading() as connection:
            return of_gpu(summaries.select_systems(connection), gpu)

    def find_system(self, name: str) -> System:
        """The system whose id is ``name`` or begins with it.

        Raises:
            StoreError: there is none, or more than one.
        """
        return named(self.systems(), name, self.name)

    def holdings(self, system: System) -> tuple[Holding, ...]:
        """How much is known of ``system``, by data type and state of the L2 cache."""
        with self.database.reading() as connection:
            return summaries.select_holdings(connection, system)

    def chains(self, system: System, dtype: DataType, l2: str, words: Sequence[str] = ()) -> tuple[ChainFound, ...]:
        """Chains that there are rows of, those with most macs first (:func:`headroom.store.browse.select_chains`)."""
        with self.database.reading() as connection:
            return select_chains(connection, system, dtype, l2, words)

    def networks(self, system: System, graph_digest: str | None = None) -> tuple[NetworkTiming, ...]:
        """Whole networks timed on ``system``: all of them, or the modes of one graph."""
        with self.database.reading() as connection:
            return read.select_networks(connection, system, graph_digest)

    def counters(self, system: System, digest: str, dtype: DataType) -> tuple[Counters, ...]:
        """What the hardware counted for implementations of a chain."""
        with self.database.reading() as connection:
            return read.select_counters(connection, system, digest, dtype)

    def records(self, system: System) -> Iterator[ChainRecord]:
        """All that is known of each chain on ``system``, in order of digest, data type and method."""
        with self.database.reading() as connection:
            yield from walk_records(connection, system)

    def runs(self, system: System) -> Iterator[NetworkTiming]:
        """Every whole network timed on ``system``, by any version of the method."""
        with self.database.reading() as connection:
            yield from walk_networks(connection, system)

    def to_pandas(self, gpu: str | None = None) -> DataFrame:
        """Every timing as a pandas frame with the columns of :data:`headroom.store.flat.COLUMNS`.

        Args:
            gpu: only systems with this GPU, as in :meth:`systems`.

        Raises:
            UsageError: pandas is not installed.
        """
        from headroom.store.flat import to_frame

        return to_frame(self, gpu)


def _check_file(file: Path, read_only: bool) -> None:
    if file.is_dir():
        raise StoreError(f"{file} is a folder, not a database: name a file in it")
    if read_only and not file.exists():
        raise StoreError(f"there is no database at {file}: headroom measure makes one")
    if not read_only:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the folder {file.parent}: {error.strerror}; name a database elsewhere"
            ) from error
