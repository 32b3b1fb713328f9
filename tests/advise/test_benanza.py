"""Benanza's totals come out of the rows that its tables became."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from headroom.advise.benanza import LayerTimes, Times, layer_times, parallel_path, parallel_us, serial_us, stored_times
from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Unknown
from headroom.store.benanza.published import Published, PublishedTotal, Run, read_published
from headroom.store.benanza.source import BenanzaSource
from headroom.store.merge import merge
from headroom.store.store import Store

TABLES = Path(__file__).resolve().parents[1] / "benanza_tables"

#: Published times have six digits after the point, in ms.
ROUNDING_US = 2e-3

#: The earlier version of Benanza and the run that its totals were made of.
EARLIER = ("Tesla V100-SXM2-16GB", 1)


@pytest.fixture(scope="module")
def published() -> Published:
    return read_published([TABLES])


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory) -> Times:
    with Store.open(str(tmp_path_factory.mktemp("benanza") / "rows.sqlite")) as store:
        merge(store, BenanzaSource([TABLES]))
        return stored_times(store)


def best_totals(published: Published, strategy: str) -> Iterator[PublishedTotal]:
    return (total for total in published.totals if (total.strategy, total.choice) == (strategy, "best_measured"))


def test_serial_totals_are_met_to_the_last_digit(published: Published, times: Times) -> None:
    totals = list(best_totals(published, "serial"))
    assert len(totals) == 12
    for total in totals:
        layers = published.runs[total.run]
        ours = serial_us(layers, layer_times(layers, times, advised=False))
        assert ours == pytest.approx(total.time_us, abs=ROUNDING_US), total.run


def test_parallel_totals_are_met_to_the_last_digit_where_both_come_from_one_run(
    published: Published, times: Times
) -> None:
    for total in best_totals(published, "parallel"):
        found = layer_times(published.runs[total.run], times, advised=False)
        graph = published.graphs[total.run.model]
        if (total.run.gpu, total.run.batch) == EARLIER:
            assert parallel_us(graph, found, with_last=True) == pytest.approx(total.time_us, rel=6e-3), total.run
        else:
            assert parallel_us(graph, found) == pytest.approx(total.time_us, abs=ROUNDING_US), total.run


def test_totals_do_not_depend_on_the_order_of_rows_nor_on_the_name_of_the_gpu(
    published: Published, tmp_path: Path
) -> None:
    for file in TABLES.glob("*.csv"):
        header, *lines = file.read_text("utf-8").replace("TITAN_Xp", "Some_GPU").splitlines(keepends=True)
        random.shuffle(lines)
        (tmp_path / file.name).write_text(header + "".join(lines), "utf-8")
    other = read_published([tmp_path])
    assert bounds(other) == {
        (run.model, run.gpu.replace("TITAN Xp", "Some GPU"), run.batch, advised): pytest.approx(us)
        for (run, advised), us in run_bounds(published).items()
    }


def bounds(published: Published) -> dict[tuple[str, str, int, bool], tuple[float, float]]:
    found = run_bounds(published)
    return {(run.model, run.gpu, run.batch, advised): us for (run, advised), us in found.items()}


def run_bounds(published: Published) -> dict[tuple[Run, bool], tuple[float, float]]:
    """Serial and parallel bound of every run, straight from its calls."""
    found = {}
    for run, layers in published.runs.items():
        calls = {call.key: call.time_us for layer in layers.values() for call in layer.calls}
        for advised in (False, True):
            known = layer_times(layers, calls, advised=advised)
            found[run, advised] = serial_us(layers, known), parallel_us(published.graphs[run.model], known)
    return found


def test_an_advised_total_is_met_where_the_advised_algorithms_are_the_fastest(
    published: Published, times: Times
) -> None:
    met = 0
    for total in published.totals:
        if total.choice == "cudnn_advised":
            layers = published.runs[total.run]
            found = layer_times(layers, times, advised=True)
            if not found.unknown:
                serial = total.strategy == "serial"
                ours = serial_us(layers, found) if serial else parallel_us(published.graphs[total.run.model], found)
                assert ours == pytest.approx(total.time_us, abs=ROUNDING_US), total.run
                met += 1
    assert met >= 4


def test_a_layer_whose_advised_algorithm_was_not_published_is_unknown_not_fastest(
    published: Published, times: Times
) -> None:
    run = next(run for run in published.runs if run.model == "Squeezenet-v1.1" and run.gpu == "TITAN Xp")
    found = layer_times(published.runs[run], times, advised=True)
    assert found.unknown
    assert not found.unknown & set(found.known)


def test_all_published_totals_of_the_shared_tables_are_met(shared_data: Path) -> None:
    everything = read_published([shared_data / "tables"])
    calls: Times = {
        call.key: call.time_us
        for layers in everything.runs.values()
        for layer in layers.values()
        for call in layer.calls
    }
    serial, parallel = [], []
    for total in everything.totals:
        graph, layers = everything.graphs[total.run.model], everything.runs[total.run]
        convolutions = {layer.name for layer in graph.layers if layer.operator == "Conv"}
        if total.choice == "best_measured" and convolutions <= set(layers):
            found = layer_times(layers, calls, advised=False)
            if total.strategy == "serial":
                serial.append(abs(serial_us(layers, found) / total.time_us - 1))
            else:
                parallel.append(abs(parallel_us(graph, found) / total.time_us - 1))
    assert len(serial) == len(parallel) == 474
    assert max(serial) < 1e-3
    assert statistics.median(parallel) < 1e-6
    assert statistics.quantiles(parallel, n=20)[-2] < 5e-3


def model(*layers: tuple[str, Sequence[str]]) -> Graph:
    """Layers by name, each with the names of those that it reads."""
    made = tuple(
        Layer(
            name, "Conv", Unknown("Conv", "told by name alone"),
            tuple(TensorSpec(each, ()) for each in before), (), (TensorSpec(name, ()),),
        )
        for name, before in layers
    )  # fmt: skip
    return Graph("m", made, (), (), 1)


def known(**times_us: float) -> LayerTimes:
    return LayerTimes(times_us, frozenset())


def test_the_last_layer_of_a_chain_is_not_in_but_for_the_earlier_version() -> None:
    chain = model(("a", []), ("b", ["a"]), ("c", ["b"]))
    assert parallel_us(chain, known(a=1, b=2, c=4)) == 3
    assert parallel_us(chain, known(a=1, b=2, c=4), with_last=True) == 7


def test_the_longer_branch_counts() -> None:
    diamond = model(("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"]))
    assert parallel_us(diamond, known(a=1, b=2, c=5, d=9)) == 6
    assert parallel_path(diamond, known(a=1, b=2, c=5, d=9)) == (6, ("a", "c", "d"))


def test_a_branch_that_leads_elsewhere_counts_nothing_however_long_it_is() -> None:
    fork = model(("a", []), ("aside", ["a"]), ("b", ["a"]))
    assert parallel_us(fork, known(a=1, aside=100, b=2)) == 1
    assert fork.critical_path([1, 100, 2])[0] == 101


def test_layers_without_a_time_are_passed_and_never_the_end() -> None:
    chain = model(("a", []), ("reshape", ["a"]), ("b", ["reshape"]), ("view", ["b"]))
    assert parallel_us(chain, known(a=1, b=2)) == 1


def test_without_a_path_or_a_time_there_is_no_total() -> None:
    apart = model(("a", []), ("b", []))
    assert parallel_us(apart, known(a=1, b=2)) == 0
    assert parallel_us(apart, known()) == 0


def test_a_layer_whose_call_has_no_time_is_refused(tmp_path: Path) -> None:
    for file in TABLES.glob("*.csv"):
        text = file.read_text("utf-8")
        lines = text.splitlines(keepends=True)
        (tmp_path / file.name).write_text("".join(lines[:-1]) if "times" in file.name else text, "utf-8")
    with pytest.raises(ModelError, match=r"benanza_layers.csv, line \d+: kernel_id is .* expected a call that"):
        read_published([tmp_path])


def test_totals_need_all_their_tables() -> None:
    with pytest.raises(ModelError, match="no rows of Benanza's table 'layer_shapes'"):
        read_published([TABLES / "benanza_totals.csv"])
