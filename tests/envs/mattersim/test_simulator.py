"""Version 0.2: errors, settings, preserved peculiarities of MatterSim, and differences."""

import copy
import math
import pickle
import subprocess
import sys

import pytest

import clipnav.envs.mattersim
from clipnav.envs.mattersim import SimState, ViewPoint

START = ["attic"], ["a4"], [0.0], [0.0]


def facts(state):
    return (
        state.scanId,
        state.step,
        state.location,
        state.heading,
        state.elevation,
        state.viewIndex,
        state.navigableLocations,
    )


def facing_a_neighbour(simulator, environments=1):
    """Start all agents at a4 and turn them until they can move."""
    simulator.newEpisode(*(argument * environments for argument in START))
    while len(simulator.getState()[0].navigableLocations) == 1:
        simulator.makeAction([0] * environments, [1] * environments, [0] * environments)


def test_actions_before_the_first_episode_are_refused(simulator):
    sim = simulator()
    with pytest.raises(RuntimeError, match=r"^MatterSim: newEpisode must be called before m"):
        sim.makeAction([0], [0], [0])
    sim.initialize()
    with pytest.raises(ValueError, match="Invalid action index: 0 in environment 0 of 1"):
        sim.makeAction([0], [0], [0])
    (state,) = sim.getState()
    assert facts(state) == ("", 0, None, 0.0, 0.0, 0, [])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["nowhere"], ["a4"], [0], [0]), IndexError, "^map::at"),
        (
            (["attic"], ["a77"], [0], [0]),
            ValueError,
            "^MatterSim: Could not find viewpointId: a77, is viewpoint id valid[?]$",
        ),
        (
            (["attic"], ["a9"], [0], [0]),
            ValueError,
            "^MatterSim: ViewpointId: a9, is excluded from the connectivity graph[.]$",
        ),
        (([], ["a4"], [0], [0]), IndexError, "0 entries for 1"),
        ((["attic"], ["a4"], [0], []), IndexError, "0 entries for 1"),
        (("attic", "a4", 0, 0), TypeError, 'install.version="0.1"'),
        ((["attic"], ["a4"], 0, [0]), TypeError, "incompatible function arguments"),
        ((["attic"], [4], [0], [0]), TypeError, "4 is not a string"),
        ((["attic"], ["a4"], ["0"], [0]), TypeError, "'0' is not a number"),
        ((["attic"], ["a4"], [0], [None]), TypeError, "None is not a number"),
    ],
)
def test_refused_episodes_change_nothing(simulator, arguments, error, message):
    sim = simulator()
    sim.newEpisode(["barn"], ["b1"], [1.0], [0.0])
    sim.makeAction([0], [1], [0])
    before = facts(sim.getState()[0])
    with pytest.raises(error, match=message):
        sim.newEpisode(*arguments)
    assert facts(sim.getState()[0]) == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([0, 99], [1, 1], [1, 1]), ValueError),
        (([1, -1], [1, 1], [1, 1]), TypeError),
        (([1, 1.0], [1, 1], [1, 1]), TypeError),
        (([1, "1"], [1, 1], [1, 1]), TypeError),
        (([1, 1], [1, None], [1, 1]), TypeError),
        (([1, 1], [1, 1], [1, "up"]), TypeError),
        (([1], [1, 1], [1, 1]), IndexError),
        (([1, 1], [1], [1, 1]), IndexError),
        ((1, 1, 1), TypeError),
    ],
)
@pytest.mark.parametrize("discretized", [True, False])
def test_refused_actions_change_nothing(simulator, discretized, arguments, error):
    sim = simulator(batch_size=2, discretized=discretized)
    facing_a_neighbour(sim, environments=2)
    before = [facts(state) for state in sim.getState()]
    with pytest.raises(error):
        sim.makeAction(*arguments)
    assert [facts(state) for state in sim.getState()] == before


def test_errors_name_the_missing_file(simulator, tmp_path):
    with pytest.raises(ValueError, match=f"Could not open list of scans at: {tmp_path}/scans.txt"):
        simulator(graphs=str(tmp_path)).newEpisode(*START)
    (tmp_path / "scans.txt").write_text("attic\n")
    with pytest.raises(ValueError, match=r"not open navigation graph file: .*attic_connect"):
        simulator(graphs=str(tmp_path)).newEpisode(*START)


def test_a_state_is_updated_and_its_copy_is_not(simulator):
    sim = simulator()
    facing_a_neighbour(sim)
    (state,) = sim.getState()
    assert sim.getState()[0] is state
    before = facts(state)
    kept = copy.deepcopy(state), copy.copy(state), pickle.loads(pickle.dumps(state))
    sim.makeAction([1], [0], [0])
    assert state.step == before[1] + 1
    assert state.location.viewpointId == before[-1][1].viewpointId
    for other in kept:
        assert type(other) is SimState
        assert facts(other) == before
        assert other.rgb.shape == (480, 640, 3)


def test_a_move_zeroes_the_angles_of_the_location_only(simulator):
    sim = simulator()
    facing_a_neighbour(sim)
    (state,) = sim.getState()
    locations = state.navigableLocations
    target = locations[1]
    assert target.rel_distance > 0
    sim.makeAction([1], [0], [0])
    zeroed = target._replace(rel_heading=0.0, rel_elevation=0.0, rel_distance=0.0)
    assert state.location == state.navigableLocations[0] == zeroed
    assert locations[1] is target
    assert target.rel_distance > 0


def test_states_and_viewpoints_are_read_only(simulator):
    sim = simulator()
    sim.newEpisode(*START)
    (state,) = sim.getState()
    for name in ("heading", "step", "rgb", "navigableLocations", "location"):
        with pytest.raises(AttributeError):
            setattr(state, name, None)
    with pytest.raises(AttributeError):
        state.location.ix = 3
    state.navigableLocations.clear()
    assert len(state.navigableLocations) >= 1
    assert isinstance(state.location, ViewPoint)


def test_elevation_limits_hold_only_for_continuous_angles(simulator):
    sim = simulator(discretized=False)
    assert sim.setElevationLimits(-0.2, 0.1) is True
    assert sim.setElevationLimits(0.0, 0.1) is False
    assert sim.setElevationLimits(-0.2, math.pi / 2) is False
    sim.newEpisode(["attic"], ["a4"], [0], [1.0])
    assert sim.getState()[0].elevation == 0.1
    sim.makeAction([0], [0], [-1.0])
    assert sim.getState()[0].elevation == -0.2
    assert sim.setElevationLimits(-0.5, 0.1) is True  # also after initialisation
    sim.makeAction([0], [0], [-1.0])
    assert sim.getState()[0].elevation == -0.5
    snapping = simulator()
    snapping.setElevationLimits(-0.2, 0.1)
    snapping.newEpisode(["attic"], ["a4"], [0], [1.0])
    assert snapping.getState()[0].elevation == math.pi / 6


def test_random_episodes_start_at_included_viewpoints(simulator):
    sim = simulator(batch_size=8)
    viewpoints = set()
    for _ in range(20):
        sim.newRandomEpisode(["attic"] * 8)
        viewpoints |= {state.location.viewpointId for state in sim.getState()}
    assert viewpoints == {f"a{i}" for i in range(11)} - {"a9"}
    before = [facts(state) for state in sim.getState()]
    for scans, error in ((["attic"] * 7, IndexError), (["attic"] * 7 + ["x"], IndexError)):
        with pytest.raises(error):
            sim.newRandomEpisode(scans)
    with pytest.raises(TypeError):
        sim.newRandomEpisode("attic")
    assert [facts(state) for state in sim.getState()] == before


def neighbours_of_a4(simulator):
    sim = simulator()
    sim.setRestrictedNavigation(False)
    sim.newEpisode(*START)
    return sim.getState()[0].navigableLocations[1:]


def test_only_camera_settings_change_after_initialisation(simulator):
    sim = simulator(discretized=False)
    sim.initialize()
    sim.setNavGraphPath("elsewhere")
    sim.setDiscretizedViewingAngles(True)
    sim.setRestrictedNavigation(False)
    sim.setBatchSize(3)
    sim.newEpisode(["attic"], ["a4"], [0.1], [0])
    (state,) = sim.getState()
    assert state.heading == 0.1
    narrow = state.navigableLocations
    sim.setCameraVFOV(4.7)  # almost 180 degrees to both sides
    assert state.navigableLocations == narrow
    sim.makeAction([0], [0], [0])
    assert len(state.navigableLocations) == 1 + len(neighbours_of_a4(simulator))
    assert state.rgb.shape == (480, 640, 3)
    sim.setCameraResolution(1, 480)
    with pytest.raises(ValueError, match="Invalid action index: 99"):
        sim.makeAction([99], [0], [0])
    sim.makeAction([1], [0], [0])  # locations from before the change remain valid targets
    assert state.location.viewpointId != "a4"
    assert len(state.navigableLocations) == 1
    assert state.rgb.shape == (480, 640, 3)


def test_settings_can_change_after_close(simulator):
    sim = simulator()
    sim.newEpisode(*START)
    kept = sim.getState()[0]
    sim.close()
    sim.close()
    with pytest.raises(RuntimeError, match="newEpisode must be called"):
        sim.makeAction([0], [0], [0])
    sim.setBatchSize(2)
    sim.setDiscretizedViewingAngles(False)
    sim.newEpisode(["barn"] * 2, ["b0", "b3"], [0.1, 0.2], [0, 0])
    states = sim.getState()
    assert [state.heading for state in states] == [0.1, 0.2]
    assert (kept.scanId, kept.viewIndex) == ("attic", 12)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda sim: sim.setBatchSize(-1), TypeError),
        (lambda sim: sim.setBatchSize(2.0), TypeError),
        (lambda sim: sim.setCameraResolution(0, 480), ValueError),
        (lambda sim: sim.setCameraResolution(640.0, 480), TypeError),
        (lambda sim: sim.setCameraVFOV(math.inf), ValueError),
        (lambda sim: sim.setCameraVFOV("1"), TypeError),
        (lambda sim: sim.setNavGraphPath(3), TypeError),
        (lambda sim: sim.setSeed(1.5), TypeError),
    ],
)
def test_settings_of_the_wrong_type_are_refused(simulator, call, error):
    with pytest.raises(error):
        call(simulator())


def test_timing_info_contains_frames_and_times(simulator):
    sim = simulator()
    assert "Rendered 0 frames" in sim.timingInfo()
    sim.newEpisode(*START)
    sim.makeAction([0], [1], [0])
    lines = sim.timingInfo().splitlines()
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "Wall time",
        "Process time",
        "\tRendering",
    ]
    sim.resetTimers()
    assert "Wall time: 0 ms" in sim.timingInfo()


def test_unknown_versions_are_refused():
    with pytest.raises(ValueError, match=r"no version '0\.3', only 0\.2 and 0\.1"):
        clipnav.envs.mattersim.install("0.3")


def test_without_rendering_no_rendering_module_is_imported(tiny_graphs):
    program = f"""
import sys
import clipnav.envs.mattersim
sim = clipnav.envs.mattersim.Simulator()
sim.setNavGraphPath({tiny_graphs!r})
sim.setRenderingEnabled(False)
sim.newEpisode(["attic"], ["a4"], [0], [0])
assert not sim.getState()[0].rgb.any()
assert not sim.getState()[0].depth.any()
assert not {{"clipnav.envs.mattersim.rendering", "torch", "PIL"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
