import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipnav.envs.mattersim.engine import clamped, normalized, snapped

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


def test_clamping_keeps_nan():
    assert clamped(2.0, -0.94, 0.94) == 0.94
    assert clamped(-2.0, -0.94, 0.94) == -0.94
    assert math.isnan(clamped(math.nan, -0.94, 0.94))
