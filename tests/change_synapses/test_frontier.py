"""Thresholds per layer make a Pareto front of networks, and a point of it is found at once."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.change.synapses import Front, Grain, LayerOptions, LayerPlan, Option, SynapsePlan
from headroom.errors import ModelError, UsageError


def options(layer: int, rows: list[tuple[int, int]]) -> LayerOptions:
    """Integers, so that sums do not depend on their order; the first is the dense layer, which loses nothing."""
    dense, *others = rows
    made = [Option(None, 100, dense[0], 0.0)]
    made += [Option(0.9 - 0.05 * index, 90 - index, time_us, loss) for index, (time_us, loss) in enumerate(others)]
    return LayerOptions(f"layer{layer}", tuple(made))


TABLES = st.lists(
    st.lists(st.tuples(st.integers(1, 50), st.integers(-3, 40)), min_size=1, max_size=5), min_size=1, max_size=4
)


def every_composition(layers: list[LayerOptions]) -> list[tuple[float, float]]:
    combinations = itertools.product(*(layer.options for layer in layers))
    return [(sum(each.time_us for each in one), sum(each.loss_points for each in one)) for one in combinations]


@given(TABLES)
def test_the_front_is_what_no_composition_beats(tables):
    layers = [options(number, rows) for number, rows in enumerate(tables)]
    everything = set(every_composition(layers))
    expected = sorted(
        one for one in everything if not any(o != one and o[0] <= one[0] and o[1] <= one[1] for o in everything)
    )

    front = Front(layers)

    assert list(zip(front.times_us.tolist(), front.losses_points.tolist(), strict=True)) == expected
    for index in range(len(front)):
        point = front.at(index)
        assert [name for name, _ in point.choices] == [layer.layer for layer in layers]
        assert sum(option.time_us for _, option in point.choices) == point.time_us
        assert sum(option.loss_points for _, option in point.choices) == point.loss_points


EIGHTHS = st.integers(4, 64).map(lambda eighths: eighths / 8)


@given(TABLES, EIGHTHS, st.integers(-10, 120).map(lambda halves: halves / 2))
def test_the_nearest_point_is_the_best_that_keeps_the_bound(tables, speedup, loss):
    layers = [options(number, rows) for number, rows in enumerate(tables)]
    front, everything = Front(layers), every_composition(layers)

    fast = [one for one in everything if one[0] * speedup <= front.dense_us]
    if fast:
        assert front.for_speedup(speedup).loss_points == min(one[1] for one in fast)
    else:
        with pytest.raises(UsageError, match="the fastest reaches"):
            front.for_speedup(speedup)
    good = [one for one in everything if one[1] <= loss]
    if good:
        assert front.for_loss(loss).time_us == min(one[0] for one in good)
    else:
        with pytest.raises(UsageError, match="loses more"):
            front.for_loss(loss)


def network(layers: int = 16, choices: int = 10) -> list[LayerOptions]:
    """Like VGG16: layers of different times, losses that grow faster than the times fall."""
    random = np.random.default_rng(5)
    made = []
    for number in range(layers):
        dense = float(random.uniform(10, 200))
        kept = np.sort(random.uniform(0.2, 1, choices - 1))[::-1]
        others = [Option(0.9 - 0.05 * n, 1, dense * float(k), float((1 / k - 1) ** 2)) for n, k in enumerate(kept)]
        made.append(LayerOptions(f"layer{number}", (Option(None, 2, dense, 0.0), *others)))
    return made


def test_ten_thresholds_in_sixteen_layers_are_thinned_by_no_more_than_promised():
    layers = network()
    coarse, fine = Front(layers, points=300), Front(layers, points=20_000)

    part_us = (coarse.times_us[-1] - coarse.times_us[0]) / 300
    places = np.searchsorted(-coarse.losses_points, -fine.losses_points)

    assert len(coarse) <= 300 < len(fine) <= 20_000
    assert (coarse.times_us[places] <= fine.times_us + len(layers) * part_us).all()
    assert coarse.losses_points[-1] == 0


def test_a_point_is_picked_in_milliseconds():
    front = Front(network())
    taken = []
    for speedup in np.linspace(1.0, 2.5, 20):
        started = time.perf_counter()
        point = front.for_speedup(float(speedup))
        taken.append(time.perf_counter() - started)
        assert front.dense_us / point.time_us >= speedup * (1 - 1e-9)

    assert sorted(taken)[len(taken) // 2] < 0.005


def test_no_composition_is_slower_than_dense_where_nothing_gains_accuracy():
    front = Front([options(0, [(10, 0), (30, 0), (12, 3)]), options(1, [(5, 0), (4, 1)])])

    assert front.times_us.max() == front.dense_us == 15
    assert front.for_speedup(1).loss_points == 0


def test_tables_without_the_dense_layer_or_with_odd_figures_are_refused():
    with pytest.raises(UsageError, match="exactly one option without a threshold"):
        LayerOptions("a", (Option(0.5, 3, 1.0, 0.0),))
    with pytest.raises(UsageError, match="no positive time"):
        LayerOptions("a", (Option(None, 3, 0.0, 0.0),))
    with pytest.raises(UsageError, match="no positive time"):
        LayerOptions("a", (Option(None, 3, 1.0, float("nan")),))
    with pytest.raises(UsageError, match="at least one layer"):
        Front([])


def test_a_point_becomes_a_plan_that_json_carries():
    layers = [options(0, [(10, 0), (5, 1)]), options(1, [(10, 0), (9, 5)])]
    point = Front(layers).for_loss(1)

    plan = SynapsePlan.of(point, {"layer0": Grain.COLUMN, "layer1": Grain.FEATURE}, {"layer0": 100, "layer1": 100})

    assert plan.layers == {"layer0": LayerPlan(Grain.COLUMN, 0.9, 100, 90)}
    assert SynapsePlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize(
    "held",
    [
        {"a": {}},
        {"a": 3},
        [],
        {"a": {"grain": "row", "alpha": 0.5, "count": 4, "retained": 2}},
        {"a": {"grain": "column", "alpha": 0.5, "count": 4, "retained": 5}},
        {"a": {"grain": "column", "alpha": float("nan"), "count": 4, "retained": 2}},
    ],
)
def test_what_is_no_plan_is_refused(held):
    with pytest.raises(ModelError, match="no plan of synapse vectors"):
        SynapsePlan.from_dict(held)
