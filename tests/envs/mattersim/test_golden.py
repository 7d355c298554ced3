"""Both versions against recordings of the real simulator, described in golden/README.md."""

import gzip
import json

import numpy as np
import pytest

import clipnav.envs.mattersim
from clipnav.envs.mattersim import v01

TRACES = [
    "trace_envdrop_discrete",
    "trace_continuous",
    "trace_vfov90_1024x512_continuous",
    "trace_default_320x240_vfov0.8",
    "trace_vfov100_640x480_discrete",
    "trace_unrestricted_discrete",
    "trace_elevlimits_continuous",
]
# Version 0.1 cannot disable restricted navigation either.
OLD_TRACES = [name for name in TRACES if "unrestricted" not in name]


def configured(simulator, config, graphs):
    simulator.setNavGraphPath(graphs)
    simulator.setRenderingEnabled(False)
    simulator.setCameraResolution(config["width"], config["height"])
    simulator.setCameraVFOV(config["vfov"])
    simulator.setDiscretizedViewingAngles(config["discretized"])
    if not config["restricted"]:
        simulator.setRestrictedNavigation(False)
    if "elevation_limits" in config:
        assert simulator.setElevationLimits(*config["elevation_limits"])
    return simulator


def row(state):
    """Return a state in the format of the golden files: exact values, reals, rel_headings."""
    locations = state.navigableLocations
    exact = [state.scanId, state.location.viewpointId, state.location.ix, state.viewIndex]
    exact += [state.step, [(location.ix, location.viewpointId) for location in locations]]
    reals = [state.heading, state.elevation, *coordinates(state.location)]
    reals += [r for v in locations for r in (v.rel_elevation, v.rel_distance)]
    return exact, reals, [location.rel_heading for location in locations]


def coordinates(location):
    if isinstance(location, v01.ViewPoint):
        return location.point
    return [location.x, location.y, location.z]


def golden_row(state):
    exact = [state[key] for key in ("scanId", "viewpointId", "ix", "viewIndex", "step")]
    exact += [[(location[0], location[1]) for location in state["nav"]]]
    reals = [state["heading"], state["elevation"], *state["xyz"]]
    reals += [r for location in state["nav"] for r in location[3:]]
    return exact, reals, [location[2] for location in state["nav"]]


def assert_equal_rows(rows, golden_rows):
    for kind, atol in ((1, 1e-6), (2, 3e-7)):
        reals = np.concatenate([row[kind] for row in rows])
        golden = np.concatenate([row[kind] for row in golden_rows])
        np.testing.assert_allclose(reals, golden, rtol=0, atol=atol)
    assert [row[0] for row in rows] == [row[0] for row in golden_rows]


def read_trace(shared, name):
    with gzip.open(shared / "golden" / f"{name}.json.gz") as file:
        return json.load(file)


@pytest.mark.parametrize("name", TRACES)
def test_version_02_equals_the_real_simulator(shared, real_graphs, name):
    trace = read_trace(shared, name)
    simulator = configured(clipnav.envs.mattersim.Simulator(), trace["config"], real_graphs)
    simulator.initialize()
    (state,) = simulator.getState()
    rows = []
    for episode in trace["episodes"]:
        simulator.newEpisode(*([value] for value in episode["start"].values()))
        rows.append(row(state))
        for action in episode["actions"]:
            simulator.makeAction(*([value] for value in action))
            rows.append(row(state))
    states = [golden_row(state) for episode in trace["episodes"] for state in episode["states"]]
    assert_equal_rows(rows, states)


@pytest.mark.parametrize("name", OLD_TRACES)
def test_version_01_equals_the_real_simulator(shared, real_graphs, name):
    trace = read_trace(shared, name)
    simulator = configured(v01.Simulator(), trace["config"], real_graphs)
    rows = []
    for episode in trace["episodes"]:
        simulator.newEpisode(*episode["start"].values())
        rows.append(row(simulator.getState()))
        for action in episode["actions"]:
            simulator.makeAction(*action)
            rows.append(row(simulator.getState()))
    states = [golden_row(state) for episode in trace["episodes"] for state in episode["states"]]
    assert_equal_rows(rows, states)


@pytest.mark.parametrize("name", ["trace_envdrop_discrete", "trace_continuous"])
def test_a_batch_equals_episodes_of_the_real_simulator(shared, real_graphs, name):
    trace = read_trace(shared, name)
    episodes = trace["episodes"][:50]
    simulator = configured(clipnav.envs.mattersim.Simulator(), trace["config"], real_graphs)
    simulator.setBatchSize(len(episodes))
    simulator.initialize()
    starts = [episode["start"] for episode in episodes]
    simulator.newEpisode(*([start[key] for start in starts] for key in starts[0]))
    length = min(len(episode["actions"]) for episode in episodes)
    rows, golden_rows = [], []
    for time in range(length):
        rows += [row(s) for s in simulator.getState()]
        golden_rows += [golden_row(episode["states"][time]) for episode in episodes]
        actions = np.array([episode["actions"][time] for episode in episodes])
        simulator.makeAction(actions[:, 0].astype(np.int64), actions[:, 1], actions[:, 2])
    assert_equal_rows(rows, golden_rows)


def test_random_episodes_equal_the_real_simulator(shared, real_graphs):
    runs = json.loads((shared / "golden" / "random_episode.json").read_text())["runs"]
    for run in runs:
        simulator = clipnav.envs.mattersim.Simulator()
        simulator.setNavGraphPath(real_graphs)
        simulator.setRenderingEnabled(False)
        simulator.setDiscretizedViewingAngles(run["discretized"])
        simulator.setBatchSize(len(run["calls"][0]))
        if run["seed"] is not None:
            simulator.setSeed(run["seed"])
        simulator.initialize()
        for call in run["calls"]:
            simulator.newRandomEpisode([scan for scan, *_ in call])
            states = simulator.getState()
            drawn = [[s.scanId, s.location.viewpointId, s.heading, s.elevation] for s in states]
            assert drawn == call
