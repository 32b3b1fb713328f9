"""Promise 7: rows whose keys differ in any field never mix, and what is no key does not part them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headroom.errors import StoreError
from headroom.graph.tensor import DataType
from headroom.store.rows import METHOD, Implementation, System
from headroom.store.store import Store
from store.factory import BF16, LATER, SYSTEM, make_chain, make_network, make_sweep, make_timing

SLOW, FAST = 20.0, 10.0

_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("field", [field.name for field in fields(System)])
def test_systems_that_differ_in_one_field_never_mix(store: Store, field: str) -> None:
    other = replace(SYSTEM, **{field: getattr(SYSTEM, field) + "1"})
    digest = make_chain().digest
    store.record(make_sweep(timings=(make_timing(median_us=SLOW),)))
    assert store.best(other, BF16, "warm", [digest]) == {}
    assert store.finished(other, BF16, "all") == frozenset()
    store.record(make_sweep(system=other, timings=(make_timing(median_us=FAST),)))
    store.record_network(other, make_network())
    assert store.best(SYSTEM, BF16, "warm", [digest])[digest].median_us == SLOW
    assert store.best(other, BF16, "warm", [digest])[digest].median_us == FAST
    assert store.networks(SYSTEM) == ()
    assert {summary.system for summary in store.systems()} == {SYSTEM, other}


@pytest.mark.parametrize("field", [field.name for field in fields(Implementation)])
def test_implementations_that_differ_in_one_field_are_rows_of_their_own(store: Store, field: str) -> None:
    timing = make_timing(median_us=SLOW)
    altered = replace(timing.implementation, **{field: getattr(timing.implementation, field) + "1"})
    store.record(make_sweep(timings=(timing,)))
    store.record(make_sweep(timings=(replace(timing, implementation=altered, median_us=FAST),)))
    found = {row.implementation: row.median_us for row in store.timings(make_chain().digest, SYSTEM, BF16)}
    assert found == {timing.implementation: SLOW, altered: FAST}


def test_states_of_the_cache_data_types_and_methods_are_rows_of_their_own(store: Store) -> None:
    digest = make_chain().digest
    store.record(make_sweep(timings=(make_timing(l2="warm", median_us=SLOW),)))
    fast = make_timing(l2="warm", median_us=FAST)
    store.record(make_sweep(timings=(replace(fast, l2="cold"),)))
    store.record(make_sweep(timings=(fast,), dtype=DataType.FP16))
    store.record(make_sweep(timings=(fast,), method=METHOD + 1))
    store.record(make_sweep(1, timings=(fast,)))
    assert [row.median_us for row in store.timings(digest, SYSTEM, BF16, "warm")] == [SLOW]
    assert store.best(SYSTEM, BF16, "warm", [digest])[digest].median_us == SLOW
    assert store.best(SYSTEM, BF16, "cold", [digest])[digest].median_us == FAST
    assert store.best(SYSTEM, DataType.FP16, "warm", [digest])[digest].median_us == FAST


@pytest.mark.parametrize(
    "change",
    [{"gpu_uuid": "GPU-5678"}, {"sm_clock_mhz": 1200.0}, {"throttle_mask": 0}, {"measured_at": LATER}],
    ids=str,
)
def test_another_gpu_of_the_same_model_shares_rows(store: Store, change: dict[str, object]) -> None:
    store.record(make_sweep(timings=(make_timing(median_us=SLOW),)))
    again = make_timing(median_us=FAST, **change)
    store.record(make_sweep(timings=(again,)))
    assert store.timings(make_chain().digest, SYSTEM, BF16) == (again,)


@given(st.lists(st.builds(System, *(_text for _ in fields(System))), min_size=2, max_size=6, unique=True))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_two_systems_are_kept_apart(systems: list[System]) -> None:
    with TemporaryDirectory() as folder, Store.open(Path(folder) / "any.sqlite") as store:
        for number, system in enumerate(systems):
            store.record(make_sweep(system=system, timings=(make_timing(median_us=float(number + 1)),)))
        digest = make_chain().digest
        found = [store.best(system, BF16, "warm", [digest])[digest].median_us for system in systems]
        assert found == [number + 1 for number in range(len(systems))]


def test_two_systems_with_one_id_are_refused_and_the_field_is_named(store: Store) -> None:
    """The id joins the fields by line breaks, which no driver writes; whoever forges one gets no further."""
    shifted = (SYSTEM.cuda, SYSTEM.cudnn, SYSTEM.cublas, SYSTEM.torch, "x")
    forged = System(f"{SYSTEM.gpu}\n{SYSTEM.driver}", *shifted)
    real = replace(SYSTEM, torch=f"{SYSTEM.torch}\nx")
    assert forged.id == real.id
    store.record(make_sweep(system=real))
    with pytest.raises(StoreError, match=r"has gpu .* but the database has 'NVIDIA H200' for it"):
        store.record(make_sweep(system=forged))
    assert [summary.system for summary in store.systems()] == [real]
