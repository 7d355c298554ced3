"""Version 0.2: settings of simulators, which are independent of each other."""

import math
import subprocess
import sys

import pytest

import clipnav.envs.mattersim

START = ["attic"], ["a4"], [0.0], [0.0]


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


def test_restricted_navigation_keeps_visible_neighbours(simulator):
    everywhere = {location.viewpointId for location in neighbours_of_a4(simulator)}
    assert len(everywhere) >= 4
    sim = simulator()
    sim.newEpisode(*START)
    seen = set()
    for _ in range(12):
        locations = sim.getState()[0].navigableLocations[1:]
        assert all(abs(v.rel_heading) <= math.radians(40.0) + 1e-6 for v in locations)
        seen |= {location.viewpointId for location in locations}
        sim.makeAction([0], [1], [0])
    assert seen == everywhere


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


def test_unknown_versions_are_refused():
    with pytest.raises(ValueError, match=r"no version '0\.3', only 0\.2 and 0\.1"):
        clipnav.envs.mattersim.install("0.3")
