"""Environments built like those of other codebases, which use only `import MatterSim`.

EnvDrop, CLIP-ViL and Recurrent-VLN-BERT have one simulator of version 0.1 per episode; the R2R
baseline and HAMT use the batches of version 0.2.
"""

import math
import sys

import numpy as np
import pytest

import clipnav.envs.mattersim
from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_graph import NavGraph

VFOV = 60


@pytest.fixture(params=["0.1", "0.2"])
def version(request, monkeypatch):
    monkeypatch.setitem(sys.modules, "MatterSim", None)  # restored after the test
    clipnav.envs.mattersim.install(version=request.param)
    return request.param


class OldBatch:
    """One simulator per episode, like EnvDrop's EnvBatch."""

    def __init__(self, graphs, size):
        import MatterSim

        self.sims = []
        for _ in range(size):
            sim = MatterSim.Simulator()
            sim.setNavGraphPath(graphs)
            sim.setRenderingEnabled(False)
            sim.setDiscretizedViewingAngles(True)
            sim.setCameraResolution(640, 480)
            sim.setCameraVFOV(math.radians(VFOV))
            sim.init()
            self.sims.append(sim)

    def begin(self, scans, viewpoints, headings, elevations):
        for sim, *start in zip(self.sims, scans, viewpoints, headings, elevations, strict=True):
            sim.newEpisode(*start)

    def states(self):
        return [sim.getState() for sim in self.sims]

    def act(self, i, index, heading, elevation):
        self.sims[i].makeAction(index, heading, elevation)

    def act_all(self, actions):
        for i, action in enumerate(actions):
            self.act(i, *action)


class NewBatch:
    """Batched simulators with one environment each, like HAMT's EnvBatch."""

    def __init__(self, graphs, size):
        import MatterSim

        self.sims = []
        for _ in range(size):
            sim = MatterSim.Simulator()
            sim.setNavGraphPath(graphs)
            sim.setRenderingEnabled(False)
            sim.setDiscretizedViewingAngles(True)
            sim.setCameraResolution(640, 480)
            sim.setCameraVFOV(math.radians(VFOV))
            sim.setBatchSize(1)
            sim.initialize()
            self.sims.append(sim)

    def begin(self, scans, viewpoints, headings, elevations):
        for sim, *start in zip(self.sims, scans, viewpoints, headings, elevations, strict=True):
            sim.newEpisode(*([value] for value in start))

    def states(self):
        return [sim.getState()[0] for sim in self.sims]

    def act(self, i, index, heading, elevation):
        self.sims[i].makeAction([index], [heading], [elevation])

    def act_all(self, actions):
        for i, action in enumerate(actions):
            self.act(i, *action)


def swept_candidates(batch, scan, viewpoint):
    """Sweep over the 36 views of a viewpoint: {neighbour: (view, index in that view's list)}."""
    best = {}
    for view in range(36):
        if view == 0:
            batch.begin([scan], [viewpoint], [0], [math.radians(-30)])
        else:
            batch.act(0, 0, 1.0, 1.0 if view % 12 == 0 else 0)
        (state,) = batch.states()
        assert state.viewIndex == view
        for k, location in enumerate(state.navigableLocations[1:], start=1):
            distance = math.hypot(location.rel_heading, location.rel_elevation)
            if location.viewpointId not in best or distance < best[location.viewpointId][0]:
                best[location.viewpointId] = distance, view, k
    return {name: (view, k) for name, (_, view, k) in best.items()}


def go(batch, i, view, index):
    """Turn the camera to a view step by step, then move."""
    state = batch.states()[i]
    for _ in range(abs(view // 12 - state.viewIndex // 12)):
        batch.act(i, 0, 0, 1 if view > state.viewIndex else -1)
    while batch.states()[i].viewIndex != view:
        batch.act(i, 0, 1, 0)
    batch.act(i, index, 0, 0)


def test_a_sweep_finds_the_candidates_and_moves_reach_them(version, tiny_graphs):
    batch = (OldBatch if version == "0.1" else NewBatch)(tiny_graphs, 1)
    graph = NavGraph.load("attic", tiny_graphs)
    table = candidate_table(graph)
    for i, viewpoint in enumerate(graph.viewpoint_ids):
        candidates = swept_candidates(batch, "attic", viewpoint)
        present = table.targets[i] >= 0
        targets = [graph.viewpoint_ids[j] for j in table.targets[i][present]]
        views = table.views[i][present].tolist()
        assert list(candidates) == targets
        assert [view for view, _ in candidates.values()] == views
        for target, (view, index) in candidates.items():
            batch.begin(["attic"], [viewpoint], [0.9], [0.0])
            go(batch, 0, view, index)
            (state,) = batch.states()
            assert state.location.viewpointId == target
            assert state.viewIndex == view


class OneBatch:
    """One simulator with a batch of environments, like that of the R2R baseline."""

    def __init__(self, graphs, size):
        import MatterSim

        self.sim = MatterSim.Simulator()
        self.sim.setNavGraphPath(graphs)
        self.sim.setRenderingEnabled(False)
        self.sim.setDiscretizedViewingAngles(True)
        self.sim.setCameraResolution(640, 480)
        self.sim.setCameraVFOV(math.radians(VFOV))
        self.sim.setBatchSize(size)
        self.sim.initialize()

    def begin(self, scans, viewpoints, headings, elevations):
        self.sim.newEpisode(scans, viewpoints, headings, elevations)

    def states(self):
        return self.sim.getState()

    def act_all(self, actions):
        indices, headings, elevations = zip(*actions, strict=True)
        self.sim.makeAction(list(indices), list(headings), list(elevations))


def teacher_action(state, following):
    """Return the baseline's action: turn until the next viewpoint is ahead, then move."""
    for index, location in enumerate(state.navigableLocations):
        if location.viewpointId == following:
            if location.rel_heading > math.pi / 6:
                return 0, 1, 0
            if location.rel_heading < -math.pi / 6:
                return 0, -1, 0
            return index, 0, 0
    return 0, 1, 0


@pytest.mark.parametrize("shape", [OldBatch, NewBatch, OneBatch])
def test_the_teacher_of_the_baseline_reaches_all_goals(monkeypatch, tiny_graphs, shape):
    monkeypatch.setitem(sys.modules, "MatterSim", None)
    clipnav.envs.mattersim.install(version="0.1" if shape is OldBatch else "0.2")
    graphs = {scan: NavGraph.load(scan, tiny_graphs) for scan in ("attic", "barn")}
    goals = {"attic": "a8", "barn": "b3"}
    starts = [("attic", f"a{i}") for i in range(9)] + [("barn", f"b{i}") for i in range(6)]
    scans, viewpoints = map(list, zip(*starts, strict=True))
    size = len(starts)
    batch = shape(tiny_graphs, size)
    batch.begin(scans, viewpoints, np.linspace(0, 6, size).tolist(), [0] * size)
    for _ in range(60):
        actions = []
        for state in batch.states():
            here, goal = state.location.viewpointId, goals[state.scanId]
            following = graphs[state.scanId].next_hop(here, goal)
            actions.append((0, 0, 0) if here == goal else teacher_action(state, following))
        batch.act_all(actions)
    assert [s.location.viewpointId for s in batch.states()] == [goals[scan] for scan in scans]
    assert {s.step for s in batch.states()} == {60}


def test_the_module_has_the_names_of_its_version(version):
    import MatterSim

    common = {"Simulator", "SimState", "ViewPoint"}
    assert common <= set(dir(MatterSim))
    if version == "0.2":
        batched = {"setBatchSize", "setRestrictedNavigation", "initialize", "newRandomEpisode"}
        assert {"Mat", "cbf"} <= set(dir(MatterSim))
        assert batched <= set(dir(MatterSim.Simulator))
    else:
        assert {"init", "setSeed"} <= set(dir(MatterSim.Simulator))
