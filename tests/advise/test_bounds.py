"""Bounds follow from the layers' times and the model's edges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import H200, batch_norm, conv, fork, graph, layer, matmul, prediction, relu, timed, unknown, view
from headroom.advise.bounds import lower_bounds, parallel_schedule
from headroom.advise.timed import TimedGraph
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.graph.work import Elementwise
from headroom.predict.error_sums import COMMON_SHARE
from headroom.predict.prediction import Source


def test_the_sequential_bound_sums_and_the_parallel_one_follows_the_longest_path() -> None:
    bounds = lower_bounds(timed(fork(), 10.0, 100.0, 60.0, 10.0))
    assert bounds.sequential_us == pytest.approx(180.0)
    assert bounds.parallel_us == pytest.approx(120.0)


def test_a_chain_has_equal_sequential_and_parallel_bounds() -> None:
    bounds = lower_bounds(timed(graph(conv("a", "x"), relu("b", "a")), 50.0, 5.0))
    assert bounds.sequential_us == bounds.parallel_us == 55.0


def test_a_free_layer_takes_no_time_and_keeps_the_path_together() -> None:
    model = graph(conv("a", "x"), view("v", "a"), relu("b", "v"))
    assert lower_bounds(timed(model, 50.0, 5.0)).parallel_us == pytest.approx(55.0)


def test_an_unknown_layer_adds_nothing_and_is_said() -> None:
    bounds = lower_bounds(timed(graph(conv("a", "x"), unknown("u", "a")), 50.0, None))
    assert bounds.sequential_us == 50.0
    assert bounds.unknown_share == 0.5


def test_the_parallel_bound_is_never_below_the_speed_of_light() -> None:
    bounds = lower_bounds(timed(graph(conv("a", "x")), 1e-6))
    assert bounds.parallel_us == bounds.speed_of_light_us > 1e-6


def test_error_bars_of_a_sum_are_weighted_by_time_and_cancel_in_part() -> None:
    model = graph(conv("a", "x"), relu("b", "a"))
    predictions = (prediction(90.0, error_pct=10.0), prediction(10.0, error_pct=50.0))
    timed_graph = TimedGraph(model, H200, DataType.BF16, "warm", predictions)
    assert timed_graph.error_pct(range(2)) == pytest.approx(14.0)
    apart = (9.0**2 + 5.0**2) * (1.0 - COMMON_SHARE)
    assert lower_bounds(timed_graph).sequential_error_pct == pytest.approx((COMMON_SHARE * 14.0**2 + apart) ** 0.5)


def test_equal_layers_err_equally_and_their_sum_has_the_bar_of_one() -> None:
    model = graph(conv("a", "x"), conv("b", "a"), conv("c", "b"))
    assert len(model.configurations) == 1
    one = lower_bounds(TimedGraph(model, H200, DataType.BF16, "warm", (prediction(50.0, error_pct=20.0),)))
    assert one.sequential_error_pct == pytest.approx(20.0)


def test_measured_layers_share_their_clock_and_their_bars_add_up() -> None:
    model = graph(conv("a", "x"), relu("b", "a"))
    rows = (prediction(90.0, error_pct=3.0), prediction(10.0, error_pct=6.0))
    found = tuple(replace(row, source=Source.MEASURED) for row in rows)
    bounds = lower_bounds(TimedGraph(model, H200, DataType.BF16, "warm", found))
    assert bounds.sequential_error_pct == pytest.approx(3.3)


def test_without_anything_to_fuse_there_is_no_fused_bound() -> None:
    assert lower_bounds(timed(graph(conv("a", "x")), 50.0)).fused_us is None


def test_the_fused_bound_lies_between_the_speed_of_light_and_the_sequential_one() -> None:
    model = graph(conv("a", "x"), batch_norm("n", "a"), relu("r", "n"))
    bounds = lower_bounds(TimedGraph.predict(model, H200, DataType.BF16, "warm"))
    assert bounds.fused_us is not None
    assert bounds.speed_of_light_us <= bounds.fused_us < bounds.sequential_us


@pytest.mark.parametrize("l2_state", ["warm", "cold"])
@pytest.mark.parametrize("rows", [1, 64])
def test_bounds_keep_their_order_where_all_weights_do_not_fit_in_a_warm_cache(l2_state: str, rows: int) -> None:
    layers, read = [], "x"
    for index in range(20):
        # Together 160 MiB in bf16, each alone small enough for the L4's 48 MiB of L2.
        layers += [matmul(f"m{index}", read, rows, 2048, 2048), relu(f"r{index}", f"m{index}", shape=(rows, 2048))]
        read = f"r{index}"
    bounds = lower_bounds(TimedGraph.predict(graph(*layers), load_gpu("l4"), DataType.FP16, l2_state))
    assert bounds.fused_us is not None
    assert bounds.speed_of_light_us <= bounds.fused_us <= bounds.sequential_us
    assert bounds.speed_of_light_us <= bounds.parallel_us <= bounds.sequential_us


@st.composite
def timed_models(draw: st.DrawFn) -> TimedGraph:
    """Random models: every layer reads one to three earlier tensors."""
    layers, names = [], ["x"]
    for index in range(draw(st.integers(1, 14))):
        reads = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        # A different flop count each makes every layer its own configuration.
        work = Elementwise("add", 100, flops_per_element=index + 1)
        layers.append(layer(f"l{index}", work, reads, shape=(100,)))
        names.append(f"l{index}")
    model = graph(*layers)
    times = [draw(st.floats(0.5, 100.0)) for _ in model.configurations]
    return timed(model, *times)


@settings(max_examples=60, deadline=None)
@given(timed_models())
def test_bounds_are_ordered_and_the_schedule_is_feasible(model: TimedGraph) -> None:
    bounds = lower_bounds(model)
    assert bounds.speed_of_light_us <= bounds.parallel_us <= bounds.sequential_us * (1 + 1e-9)

    schedule = parallel_schedule(model)
    end = max(item.start_us + item.duration_us for item in schedule)
    assert end == pytest.approx(bounds.parallel_us)
    ends = {item.name: item.start_us + item.duration_us for item in schedule}
    for item, source in zip(schedule, model.graph.working_layers, strict=True):
        assert all(ends[t.name] <= item.start_us + 1e-9 for t in source.inputs if t.name in ends)
    by_stream: dict[int, float] = {}
    for item in sorted(schedule, key=lambda item: item.start_us):
        assert by_stream.get(item.stream, 0.0) <= item.start_us + 1e-9
        by_stream[item.stream] = item.start_us + item.duration_us
    critical = sum(item.duration_us for item in schedule if item.critical)
    assert critical == pytest.approx(end)


def test_a_chain_needs_one_stream_and_a_fork_two() -> None:
    assert {item.stream for item in parallel_schedule(timed(fork(), 10.0, 100.0, 60.0, 10.0))} == {0, 1}
    chain = graph(conv("a", "x"), relu("b", "a"))
    assert {item.stream for item in parallel_schedule(timed(chain, 10.0, 5.0))} == {0}


def test_an_empty_model_has_zero_bounds() -> None:
    model = replace(graph(relu("r", "x")), layers=(), outputs=())
    bounds = lower_bounds(TimedGraph(model, H200, DataType.BF16, "warm", ()))
    assert bounds.sequential_us == 0.0
    assert bounds.unknown_share == 0.0
