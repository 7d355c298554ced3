import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.mattersim.engine import RandomEngine, normalized, snapped
from clipnav.envs.mattersim.viewpoints import Building


def numbers(seed, count):
    """Return the numbers of minstd_rand0 by its definition in the C++ standard."""
    state = seed
    for _ in range(count):
        state = state * 16807 % 2147483647
        yield state


def test_the_ten_thousandth_number_equals_the_standard():
    engine = RandomEngine()
    for _ in range(9_999):
        engine.index(2**31 - 3)  # covers all values except one: draws one number, rarely two
    *_, last = numbers(1, 10_000)
    assert last == 1043618065  # [rand.predef] of the C++ standard
    assert engine.index(2**31 - 3) == last - 1


def test_headings_use_two_numbers_low_part_first():
    engine, (low, high) = RandomEngine(7), numbers(7, 2)
    size = 2147483646
    assert (
        engine.heading() == ((low - 1) + (high - 1) * float(size)) / float(size) ** 2 * 2 * math.pi
    )


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_indices_cover_their_range_evenly(count):
    engine = RandomEngine(3)
    drawn = [engine.index(count) for _ in range(300 * count)]
    assert set(drawn) == set(range(count))
    assert all(200 < drawn.count(i) < 400 for i in range(count))


def test_seed_0_means_1_and_negative_seeds_wrap_to_64_bits():
    assert RandomEngine(0).index(10**6) == RandomEngine(1).index(10**6)
    assert RandomEngine(-1).index(10**6) == RandomEngine(2**64 - 1).index(10**6)


STEP = math.pi / 6


@given(st.floats(-1e6, 1e6))
def test_normalised_headings_keep_their_direction(heading):
    result = normalized(heading)
    assert 0.0 <= result <= 2 * math.pi
    assert math.cos(result) == pytest.approx(math.cos(heading), abs=1e-9)
    assert math.sin(result) == pytest.approx(math.sin(heading), abs=1e-9)


@pytest.mark.parametrize("heading", [math.nan, math.inf, -math.inf])
def test_non_finite_headings_become_nan(heading):
    assert math.isnan(normalized(heading))
    assert snapped(heading, 0.0) == 12


def test_views_snap_half_a_step_away_from_zero():
    assert snapped(math.radians(15.0), 0.0) == 13
    assert snapped(math.radians(14.999), 0.0) == 12
    assert snapped(math.radians(345.1), 0.0) == 12
    assert snapped(math.radians(-15.1), 0.0) == 23
    below_half = math.nextafter(0.5, 0.0) * STEP
    assert snapped(below_half, 0.0) == (12 if below_half / STEP < 0.5 else 13)


def test_elevations_snap_strictly_beyond_half_a_step():
    assert snapped(0.0, STEP / 2) == 12
    assert snapped(0.0, math.nextafter(STEP / 2, 1)) == 24
    assert snapped(0.0, -STEP / 2) == 12
    assert snapped(0.0, math.nextafter(-STEP / 2, -1)) == 0
    assert snapped(0.0, 9.0) == 24
    assert snapped(0.0, math.nan) == 12


def test_a_neighbour_straight_above_is_navigable_only_without_restriction():
    records = [
        {
            "image_id": name,
            "included": True,
            "pose": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, height, 0, 0, 0, 1],
            "height": 1.5,
            "unobstructed": [True, True],
        }
        for name, height in (("low", 0.0), ("high", 2.5))
    ]
    graph = NavGraph("tower", records)
    seen = Building(graph, min_cosine=-1.0).find("low").navigable(0.3, 0.0)
    assert [v.viewpointId for v in seen] == ["low"]
    seen = Building(graph, min_cosine=None).find("low").navigable(0.3, 0.0)
    assert [v.viewpointId for v in seen] == ["low", "high"]
    assert (seen[1].rel_heading, seen[1].rel_elevation) == (0.0, math.pi / 2)
    assert seen[1].rel_distance == 2.5


def test_positions_are_rounded_to_32_bits(tiny_world):
    graph = NavGraph.load("attic", tiny_world / "matterport" / "connectivity")
    here = Building(graph, None).find("a4").location
    assert here is not None
    rounded = graph.positions[graph.index("a4")].astype(np.float32)
    assert [here.x, here.y, here.z] == rounded.tolist()
    assert [here.x, here.y, here.z] != graph.positions[graph.index("a4")].tolist()
