import dataclasses
import json
import math
import sys

import numpy as np
import pytest

from clipnav.envs.continuous.measures import (
    Walk,
    continuous_metrics,
    measure_walk,
    moved_positions,
    summarise_walks,
)

SAME = (
    *("success", "spl", "oracle_success", "path_length", "steps_taken"),
    *("dtw", "ndtw", "sdtw"),
)


def golden_walk(case):
    distances = [math.inf if d is None else d for d in case["distances"]]
    positions = np.array(case["positions"])
    return Walk(positions, np.array(distances), case["stop_called"], case["collisions"])


def line(count, step=0.25, start=0.0):
    positions = np.zeros((count, 3))
    positions[:, 0] = start + step * np.arange(count)
    return positions


def straight_walk(forwards, goal, stopped=True):
    """Walk along x towards a goal at x = goal, with the stop as the last position."""
    positions = line(forwards + 1)
    if stopped:
        positions = np.concatenate([positions, positions[-1:]])
    return Walk(positions, np.abs(goal - positions[:, 0]), stopped)


def test_measures_equal_the_golden_walks(continuous_golden):
    assert continuous_golden["metrics"]
    for case in continuous_golden["metrics"]:
        walk, expected = golden_walk(case), case["expected"]
        measures = measure_walk(walk, np.array(case["gt_locations"]))
        for name in SAME:
            assert measures[name] == pytest.approx(expected[name], abs=1e-6), (case["name"], name)
        for name in ("distance_to_goal", "oracle_navigation_error"):
            value = math.inf if expected[name] is None else expected[name]
            assert measures[name] == pytest.approx(value, abs=1e-6), case["name"]


def test_etpnav_scores_equal_the_golden_walks(continuous_golden):
    for case in continuous_golden["metrics"]:
        walk, expected = golden_walk(case), case["expected"]
        measures = measure_walk(walk, np.array(case["gt_locations"]), "etpnav")
        assert measures["success"] == expected["success_at_most_3"], case["name"]
        assert measures["oracle_success"] == expected["oracle_at_most_3"], case["name"]


def test_fastdtw_equals_the_golden_walks(continuous_golden):
    pytest.importorskip("fastdtw")
    for case in continuous_golden["metrics"]:
        reference = np.array(case["gt_locations"])
        measures = measure_walk(golden_walk(case), reference, dtw="fastdtw")
        for name in ("ndtw", "sdtw"):
            expected = case["expected"][f"{name}_fastdtw"]
            assert measures[name] == pytest.approx(expected, abs=1e-6), case["name"]


def test_fastdtw_names_its_extra_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastdtw", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[fastdtw\]"):
        measure_walk(straight_walk(2, 9.0), line(4), dtw="fastdtw")


def test_stopping_exactly_at_three_metres_depends_on_the_definition():
    walk = straight_walk(24, 9.0)
    assert measure_walk(walk, line(37))["success"] == 0.0
    assert measure_walk(walk, line(37), "etpnav")["success"] == 1.0
    nearer = straight_walk(25, 9.0)
    assert measure_walk(nearer, line(37))["success"] == 1.0


def test_success_of_vlnce_requires_a_stop():
    walk = straight_walk(36, 9.0, stopped=False)
    measures = measure_walk(walk, line(37))
    assert (measures["success"], measures["oracle_success"], measures["ndtw"]) == (0.0, 1.0, 1.0)
    assert measure_walk(walk, line(37), "etpnav")["success"] == 1.0


def test_etpnav_divides_collisions_by_positions_without_repeats(golden_systems):
    cases = json.loads((golden_systems / "etpnav_collisions.json").read_text(encoding="utf-8"))
    for case in cases["walks"]:
        positions = np.array(case["positions"])
        walk = Walk(positions, np.ones(len(positions)), True, sum(case["collided"]))
        measures = measure_walk(walk, positions, "etpnav")
        assert len(moved_positions(positions)) == case["positions_kept"]
        assert measures["collisions"] == pytest.approx(case["collisions"], abs=1e-6)
        assert measures["path_length"] == pytest.approx(case["path_length"], abs=1e-4)
        assert measure_walk(walk, positions)["collisions"] == case["count"]


@pytest.mark.parametrize("definition", ["vlnce", "etpnav"])
def test_oracle_spl_is_the_running_maximum_of_spl(continuous_golden, definition):
    for case in continuous_golden["metrics"]:
        walk, reference = golden_walk(case), np.array(case["gt_locations"])
        best = 0.0
        for count in range(1, len(walk.positions) + 1):  # VLN-CE updates it after every action
            is_last = count == len(walk.positions)
            until = Walk(walk.positions[:count], walk.distances[:count], walk.stopped and is_last)
            best = max(best, measure_walk(until, reference, definition)["spl"])
        measures = measure_walk(walk, reference, definition)
        assert measures["oracle_spl"] == pytest.approx(best, abs=1e-12), case["name"]
        assert definition == "etpnav" or measures["oracle_spl"] == measures["spl"]


def test_turns_and_blocked_moves_do_not_count_in_ndtw():
    positions = line(5)
    turning = np.repeat(positions, 4, axis=0)
    np.testing.assert_array_equal(moved_positions(turning), positions)
    jitter = (positions + 2.0).repeat(2, axis=0)
    jitter[1::2] += 1e-12  # equal as float32, as VLN-CE compares
    np.testing.assert_array_equal(moved_positions(jitter), positions + 2.0)


def test_unreachable_goals_are_counted_and_leave_the_means_finite():
    good = measure_walk(straight_walk(36, 9.0), line(37))
    lost = dataclasses.replace(straight_walk(2, 9.0), distances=np.full(4, np.inf))
    bad = measure_walk(lost, line(37))
    assert (bad["success"], bad["spl"], bad["soft_spl"]) == (0.0, 0.0, 0.0)
    summary = summarise_walks([good, bad])
    assert summary["SR"] == summary["SPL"] == 0.5
    assert summary["NE"] == good["distance_to_goal"]
    assert (summary["unreachable"], summary["episodes"]) == (1, 2)
    assert set(summary) == {*continuous_metrics(), "unreachable", "episodes"}
    assert math.isnan(summarise_walks([bad])["NE"])
    with pytest.raises(ValueError, match="no walk"):
        summarise_walks([])
    with pytest.raises(ValueError, match="goals of their split are secret"):
        summarise_walks([{}, {}])


@pytest.mark.parametrize(
    ("walk", "reference", "options", "message"),
    [
        (Walk(np.zeros((0, 3)), np.zeros(0), True), line(2), {}, "the walk must have"),
        (straight_walk(1, 1.0), np.zeros((0, 3)), {}, "the reference must have"),
        (Walk(line(3), np.zeros(2), True), line(2), {}, "3 positions"),
        (straight_walk(1, 1.0), line(2), {"definition": "r2r"}, "vlnce, etpnav"),
        (straight_walk(1, 1.0), line(2), {"threshold": math.nan}, "positive number of metres"),
    ],
)
def test_impossible_walks_and_options_are_refused(walk, reference, options, message):
    with pytest.raises(ValueError, match=message):
        measure_walk(walk, reference, **options)
