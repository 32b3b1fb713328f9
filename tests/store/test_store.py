"""What is recorded comes back, from SQLite and from PostgreSQL alike."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from headroom.errors import StoreError
from headroom.graph.tensor import DataType
from headroom.store.rows import METHOD, Kernel, Status
from headroom.store.steps import REST, library_of
from headroom.store.store import Store
from headroom.store.vacuum import vacuum
from store.factory import (
    BF16,
    LATER,
    OTHER,
    SYSTEM,
    dump,
    make_chain,
    make_counters,
    make_network,
    make_oom,
    make_step,
    make_sweep,
    make_timing,
)  # fmt: skip


def test_what_is_recorded_comes_back_after_reopening(place: str) -> None:
    sweep = make_sweep()
    with Store.open(place) as store:
        store.record(sweep)
    with Store.open(place, read_only=True) as store:
        found = store.timings(sweep.chain.digest, SYSTEM, BF16)
        assert set(found) == set(sweep.timings)
        assert [timing.median_us for timing in found] == [11.0, 11.0, 12.0, 12.0, None]
        assert {timing.l2 for timing in store.timings(sweep.chain.digest, SYSTEM, BF16, "cold")} == {"cold"}


def test_recording_again_replaces_rows_of_the_same_key_and_keeps_the_others(store: Store) -> None:
    store.record(make_sweep())
    again = make_timing("eng1_k2=5", "warm", 9.5, kernels=(Kernel("k", (1, 1, 1), (32, 1, 1)),), measured_at=LATER)
    store.record(make_sweep(plans="heuristic", timings=(again,)))
    found = store.timings(make_chain().digest, SYSTEM, BF16)
    assert len(found) == len(make_sweep().timings)
    assert found[0] == again


def test_best_is_the_fastest_ok_row_of_each_chain(store: Store) -> None:
    too_good = (make_timing("hot", "warm", 1.0, status=Status.THROTTLED), make_timing("cold", "cold", 2.0), make_oom())
    for number in range(3):
        store.record(make_sweep(number))
    store.record(make_sweep(7, timings=too_good))
    digests = [make_chain(number).digest for number in (0, 1, 7, 99)]
    best = store.best(SYSTEM, BF16, "warm", digests)
    assert {digest: timing.median_us for digest, timing in best.items()} == {digests[0]: 11.0, digests[1]: 11.0625}
    assert best[digests[0]].kernels == make_timing("eng1_k2=5").kernels
    assert store.best(SYSTEM, BF16, "cold", digests[2:])[digests[2]].median_us == 2.0
    assert store.best(OTHER, BF16, "warm", digests) == {}


def test_best_of_hundreds_of_chains_takes_few_queries(store: Store) -> None:
    digests = [make_chain(number).digest for number in range(1000)]
    store.record(make_sweep())
    with _counted_queries(store) as queries:
        assert len(store.best(SYSTEM, BF16, "warm", digests)) == 1
    assert len(queries) < 10


def test_a_sweep_of_all_plans_covers_one_of_the_heuristics(store: Store) -> None:
    store.record(make_sweep(0, plans="all"))
    store.record(make_sweep(1, plans="heuristic"))
    full, short = make_chain(0).digest, make_chain(1).digest
    assert store.finished(SYSTEM, BF16, "heuristic") == {full, short}
    assert store.finished(SYSTEM, BF16, "all") == {full}
    assert store.finished(SYSTEM, DataType.FP16, "heuristic") == frozenset()
    assert store.finished(OTHER, BF16, "heuristic") == frozenset()


def test_a_chain_that_nothing_runs_is_finished_too(store: Store) -> None:
    store.record(make_sweep(timings=()))
    assert store.finished(SYSTEM, BF16, "all") == {make_chain().digest}
    assert store.timings(make_chain().digest, SYSTEM, BF16) == ()


def test_a_sweep_that_ended_early_is_not_finished(store: Store) -> None:
    early = (make_timing(), make_step(REST, Status.TIMEOUT))
    store.record(make_sweep(timings=early))
    assert store.finished(SYSTEM, BF16, "all") == frozenset()
    assert len(store.timings(make_chain().digest, SYSTEM, BF16)) == 2
    store.record(make_sweep(timings=(make_timing("eng7_k2=1"),)))
    assert store.finished(SYSTEM, BF16, "all") == {make_chain().digest}
    kept = {timing.implementation.name for timing in store.timings(make_chain().digest, SYSTEM, BF16)}
    assert kept == {"eng1_k2=5", "eng7_k2=1"}, "nothing is left to try any more"


DISTURBANCES = pytest.mark.parametrize("status", [Status.THROTTLED, Status.UNSTABLE])


@DISTURBANCES
def test_a_chain_whose_every_time_was_disturbed_is_not_finished(store: Store, status: Status) -> None:
    store.record(make_sweep(0, timings=(make_timing(status=status), make_oom())))
    assert store.finished(SYSTEM, BF16, "all") == frozenset()


@DISTURBANCES
@pytest.mark.parametrize(("disturbed_us", "is_finished"), [(8.0, False), (11.4, False), (11.6, True)])
def test_a_chain_is_not_finished_while_a_disturbed_time_may_be_the_best(
    store: Store, status: Status, disturbed_us: float, is_finished: bool
) -> None:
    disturbed = make_timing("eng4_k2=5", median_us=disturbed_us, status=status)
    warm = (make_timing("eng1_k2=5", median_us=10.0), make_timing("eng3_k2=5", median_us=12.0))
    store.record(make_sweep(timings=(*warm, make_timing("eng2_k2=5", "cold", 1.0), disturbed)))
    assert (make_chain().digest in store.finished(SYSTEM, BF16, "all")) is is_finished
    assert store.finished(SYSTEM, BF16, "all", (), [make_chain(5).digest]) == frozenset()
    store.record(make_sweep(timings=(replace(disturbed, status=Status.OK),)))
    assert store.finished(SYSTEM, BF16, "all") == {make_chain().digest}, "it was timed again"


@DISTURBANCES
def test_a_disturbed_time_never_takes_the_place_of_a_good_one(store: Store, status: Status) -> None:
    good, other = make_timing("eng1_k2=5"), make_timing("eng2_k2=5", median_us=30.0)
    store.record(make_sweep(timings=(good, other)))
    again = make_timing("eng1_k2=5", median_us=9.0, status=status, measured_at=LATER)
    store.record(make_sweep(timings=(again, replace(other, median_us=29.0))))
    assert [row.median_us for row in store.timings(make_chain().digest, SYSTEM, BF16)] == [10.25, 29.0]
    store.record(make_sweep(timings=(replace(good, status=Status.FAILED, median_us=None),)))
    assert store.timings(make_chain().digest, SYSTEM, BF16)[-1].status is Status.FAILED, "a failure is no disturbance"


def test_a_chain_that_is_visited_again_in_vain_is_no_longer_finished(store: Store) -> None:
    store.record(make_sweep(plans="heuristic"))
    store.record(make_sweep())
    store.record(make_sweep(timings=(make_step(REST, Status.TIMEOUT),)))
    assert store.finished(SYSTEM, BF16, "heuristic") == frozenset()


def test_a_sweep_without_a_library_is_finished_while_that_is_missing(store: Store) -> None:
    store.record(make_sweep(0, timings=(make_timing(), make_step(library_of("cublaslt"), Status.UNSUPPORTED))))
    store.record(make_sweep(1))
    assert store.finished(SYSTEM, BF16, "all", {"cublaslt"}) == {make_chain(0).digest, make_chain(1).digest}
    assert store.finished(SYSTEM, BF16, "all", {"inductor"}) == {make_chain(1).digest}
    assert store.finished(SYSTEM, BF16, "all") == {make_chain(1).digest}


def test_systems_say_what_is_known_of_them_newest_first(store: Store) -> None:
    store.record(make_sweep(0))
    store.record(make_sweep(1, timings=(make_oom(),)))
    new = tuple(replace(timing, measured_at=LATER) for timing in make_sweep().timings)
    store.record(make_sweep(0, system=OTHER, timings=new))
    first, second = store.systems("h200")
    assert (first.system, first.layers, first.rows, first.last_measured) == (OTHER, 1, 5, LATER)
    assert (second.system, second.layers, second.rows) == (SYSTEM, 1, 6)
    assert store.systems("NVIDIA H200") == store.systems() == (first, second)
    assert store.systems("a10") == store.systems("a gpu without a sheet") == ()


def test_a_gpu_without_a_sheet_is_found_by_the_drivers_name(store: Store) -> None:
    unknown = replace(SYSTEM, gpu="NVIDIA H20")
    store.record(make_sweep(system=unknown))
    assert [summary.system for summary in store.systems("nvidia h20")] == [unknown]
    assert store.systems("h200") == ()


def test_a_system_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    store.record(make_sweep())
    store.record(make_sweep(system=OTHER))
    assert store.find_system(SYSTEM.id) == store.find_system(SYSTEM.id[:6].upper()) == SYSTEM
    for name in ("", "zz", "nothing"):
        with pytest.raises(StoreError, match=f"'{name}' is unknown .* name one of .*{OTHER.id}"):
            store.find_system(name)


def test_an_ambiguous_id_lists_the_choices(store: Store) -> None:
    systems = [replace(SYSTEM, driver=str(number)) for number in range(17)]
    for system in systems:
        store.record_network(system, make_network())
    first = next(system.id[0] for system in systems if sum(each.id[0] == system.id[0] for each in systems) > 1)
    with pytest.raises(StoreError, match=f"'{first}' is ambiguous .* name one of {first}"):
        store.find_system(first)


def test_networks_come_back_and_are_replaced_by_graph_type_and_mode(store: Store) -> None:
    eager = make_network(mode="eager", median_us=3198.0)
    for network in (make_network(), eager, make_network(graph="cd" * 16), make_network(median_us=880.0)):
        store.record_network(SYSTEM, network)
    assert set(store.networks(SYSTEM, "ab" * 16)) == {eager, make_network(median_us=880.0)}
    assert len(store.networks(SYSTEM)) == 3
    assert store.networks(OTHER) == ()
    assert store.systems()[0].layers == 0


def test_counters_come_back(store: Store) -> None:
    store.record_counters(SYSTEM, make_chain(), BF16, [make_counters(), make_counters("eng2_k2=5")])
    newer = replace(make_counters(), waves=2.5)
    store.record_counters(SYSTEM, make_chain(), BF16, [newer])
    assert set(store.counters(SYSTEM, make_chain().digest, BF16)) == {newer, make_counters("eng2_k2=5")}
    assert store.counters(SYSTEM, make_chain().digest, DataType.FP16) == ()


def test_holdings_count_rows_by_what_became_of_them(store: Store) -> None:
    store.record(make_sweep(0))
    store.record(make_sweep(1))
    cold, warm = store.holdings(SYSTEM)
    assert (cold.dtype, cold.l2, cold.layers, cold.rows) == (BF16, "cold", 2, 4)
    assert dict(warm.statuses) == {Status.OK: 4, Status.OOM: 2}


def test_rows_of_another_method_are_kept_and_not_read(store: Store) -> None:
    store.record(make_sweep(method=METHOD + 1))
    digest = make_chain().digest
    assert store.finished(SYSTEM, BF16, "all") == frozenset()
    assert store.timings(digest, SYSTEM, BF16) == ()
    assert store.best(SYSTEM, BF16, "warm", [digest]) == {}
    assert store.systems() == ()
    assert f'"method":{METHOD + 1}' in _everything(store)


def test_what_a_database_cannot_hold_is_left_out_of_a_row(store: Store) -> None:
    odd = make_timing(reason="a\0b\ud800", relative_error=float("nan"), tolerance=float("inf"), status=Status.FAILED)
    store.record(make_sweep(timings=(odd,)))
    (found,) = store.timings(make_chain().digest, SYSTEM, BF16)
    assert found == replace(odd, reason="ab?", relative_error=None, tolerance=None)


def test_of_two_rows_with_one_key_in_a_sweep_the_later_counts(store: Store) -> None:
    store.record(make_sweep(timings=(make_timing(median_us=10.0), make_timing(median_us=11.0))))
    assert [timing.median_us for timing in store.timings(make_chain().digest, SYSTEM, BF16)] == [11.0]


def test_recording_the_same_again_changes_nothing(store: Store) -> None:
    store.record(make_sweep())
    before = dump(store)
    store.record(make_sweep())
    assert dump(store) == before


def test_a_large_sweep_is_recorded_in_the_time_between_two_layers(store: Store) -> None:
    timings = tuple(make_timing(f"eng{i}_k2={i % 7}", l2) for i in range(300) for l2 in ("warm", "cold"))
    store.record(make_sweep(timings=timings))
    assert set(store.timings(make_chain().digest, SYSTEM, BF16)) == set(timings)


def test_all_rows_as_a_pandas_frame(store: Store) -> None:
    store.record(make_sweep(0))
    store.record(make_sweep(1))
    frame = store.to_pandas("h200")
    assert len(frame) == 10
    assert set(frame[frame.status == "ok"].median_us) == {11.0, 12.0, 11.0625, 12.0625}
    assert frame.kernels.iloc[0] == "sm90_xmma_eng1_k2=5_128x64x32 + sm90_xmma_eng1_k2=5_128x64x32"
    assert store.to_pandas("a10").empty


def test_fifty_thousand_rows_fit_in_ten_megabytes(file: Path) -> None:
    names = [(i, l2) for i in range(40) for l2 in ("warm", "cold")]
    with Store.open(file) as store:
        for number in range(60):
            timings = [make_timing(f"eng{i}_k2={number % 8}", l2, 10 + i / 7) for i, l2 in names]
            one_kernel = tuple(replace(timing, kernels=timing.kernels[:1]) for timing in timings)
            store.record(make_sweep(number, timings=one_kernel))
        vacuum(store)
    assert file.stat().st_size < 10e6 / 50_000 * 60 * len(names)


def test_a_database_of_another_program_is_refused_untouched(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"is not a Headroom database \(it holds songs\): name another"):
        Store.open(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("where", ["mysql://me@host/db", "sqlite://", "postgresql://me@host:port/db"])
def test_urls_that_mean_nothing_are_refused(where: str) -> None:
    with pytest.raises(StoreError, match=r"not supported|cannot be read"):
        Store.open(where)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
    assert "cannot be reached" in str(caught.value)


def test_tables_of_other_people_on_a_server_are_left_alone(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        with Store.open(postgres) as store:
            store.record(make_sweep())
        connection.execute("SELECT title FROM songs")


def test_a_value_that_headroom_did_not_write_is_an_error_with_a_way_out(file: Path) -> None:
    with Store.open(file) as store:
        store.record(make_sweep())
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("UPDATE timings SET status = 'splendid'")
        connection.close()
        with pytest.raises(StoreError, match=r"did not write .*'splendid'.* headroom db check"):
            store.timings(make_chain().digest, SYSTEM, BF16)


def _everything(store: Store) -> str:
    from headroom.store.export import Selection, to_json

    return "".join(to_json(store, Selection((SYSTEM,))))


@contextmanager
def _counted_queries(store: Store) -> Iterator[list[str]]:
    from sqlalchemy import event

    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(store.database._engine, "before_cursor_execute", note)
    yield seen
    event.remove(store.database._engine, "before_cursor_execute", note)
