"""What a curve shows: plateaus, levels, sizes of caches, two halves of an L2; on synthetic curves."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.measure.probe.curve import Curve, Plateau, edge, footprints, plateaus, two_groups, value_at

KIB, MIB = 2**10, 2**20

#: A staircase as pointer chases show it: (capacity in bytes, ns); beyond a capacity misses take over gradually.
LEVELS = ((224 * KIB, 17.0), (24 * MIB, 130.0), (56 * MIB, 190.0), (math.inf, 420.0))


def staircase(noise: float = 0.0, seed: int = 0) -> Curve:
    """Latency against footprint where each level serves what fits into it, and the next one the rest."""
    source = random.Random(seed)
    points = []
    for x in footprints(4 * KIB, 1024 * MIB):
        ns, served = 0.0, 0.0
        for capacity, latency in LEVELS:
            share = min(1.0, capacity / x) if math.isfinite(capacity) else 1.0
            # A cycle a quarter larger than a cache with least-recently-used replacement hits nothing.
            share = 1.0 if share == 1.0 else max(0.0, 1 - 4 * (x / capacity - 1)) if x < 1.25 * capacity else 0.0
            ns += max(0.0, share - served) * latency
            served = max(served, share)
        points.append((x, ns * (1 + noise * source.uniform(-1, 1))))
    return Curve("latency", "bytes", "ns", tuple(points))


def test_a_staircase_has_a_plateau_per_level() -> None:
    found = plateaus(staircase())
    assert [round(plateau.value) for plateau in found] == [17, 130, 420], "the far half is two points: no plateau"
    assert found[0].first_x == 4 * KIB
    assert found[0].last_x <= 224 * KIB < found[1].first_x
    assert found[-1].last_x == 1024 * MIB


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_move_a_level(seed: int) -> None:
    curve = staircase(noise=0.04, seed=seed)
    assert value_at(curve, 8 * KIB) == pytest.approx(17, rel=0.04)
    assert value_at(curve, 8 * MIB) == pytest.approx(130, rel=0.04)
    assert value_at(curve, 512 * MIB) == pytest.approx(420, rel=0.04)


def test_the_value_where_a_curve_is_not_flat_is_the_nearest_points() -> None:
    curve = Curve("slope", "bytes", "ns", tuple((2.0**i, 2.0**i) for i in range(8)))
    assert plateaus(curve) == ()
    assert value_at(curve, 17.0) == 16.0
    assert value_at(curve, 1e9) == 128.0


def test_a_cache_ends_where_the_curve_leaves_its_level() -> None:
    curve = staircase()
    assert edge(curve, 17, 130) == pytest.approx(224 * KIB, rel=0.3)
    assert edge(curve, 130, 420) == pytest.approx(24 * MIB, rel=0.7)


def test_the_edge_of_a_falling_curve_is_found_as_well() -> None:
    curve = Curve("bandwidth", "bytes", "GB/s", ((1, 900), (2, 900), (4, 880), (8, 300), (16, 290), (32, 300)))
    assert 4 < edge(curve, 900, 300) < 8


def test_a_curve_that_never_leaves_its_level_has_no_edge() -> None:
    flat = Curve("flat", "bytes", "GB/s", tuple((2.0**i, 100.0) for i in range(6)))
    assert edge(flat, 100, 50) is None
    assert edge(flat, 100, 100) is None
    assert plateaus(flat) == (Plateau(1.0, 32.0, 100.0),)


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40))
def test_plateaus_are_in_order_flat_and_apart_whatever_the_curve(values: list[float]) -> None:
    curve = Curve("any", "bytes", "ns", tuple((2.0**i, y) for i, y in enumerate(values)))
    found = plateaus(curve)
    for plateau in found:
        within = [y for x, y in curve.points if plateau.first_x <= x <= plateau.last_x]
        assert len(within) >= 3
        assert max(within) <= 1.12 * min(within)
    assert all(before.last_x < after.first_x for before, after in itertools.pairwise(found))
    assert min(values) <= value_at(curve, 8.0) <= max(values)


def hops(near: float, far: float, share_far: float, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    values = [source.gauss(far if source.random() < share_far else near, 4.0) for _ in range(2000)]
    return values + [source.uniform(400, 2000) for _ in range(40)]  # refreshes and page walks


@pytest.mark.parametrize("share_far", [0.5, 0.3, 0.7])
def test_two_halves_of_a_cache_are_told_apart(share_far: float) -> None:
    near, far = two_groups(hops(130, 190, share_far))
    assert near == pytest.approx(130, abs=2)
    assert far == pytest.approx(190, abs=2)


def test_one_group_is_not_split_in_two() -> None:
    assert two_groups(hops(130, 130, 0.5)) is None
    assert two_groups([100.0] * 500) is None
    assert two_groups([1.0, 2.0]) is None
    assert two_groups([]) is None


def test_footprints_double_and_include_the_middles() -> None:
    assert footprints(4, 20) == [4, 6, 8, 12, 16]
    assert footprints(4, 16, per_octave=1) == [4, 8, 16]
