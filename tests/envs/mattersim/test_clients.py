"""An environment built like those of other codebases, which use only `import MatterSim`.

EnvDrop, CLIP-ViL and Recurrent-VLN-BERT have one simulator of version 0.1 per episode; HAMT has one
of version 0.2 with a batch of one.
"""

import math
import sys

import pytest

import clipnav.envs.mattersim
from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_graph import NavGraph


@pytest.fixture(params=["0.1", "0.2"])
def version(request, monkeypatch):
    monkeypatch.setitem(sys.modules, "MatterSim", None)  # restored after the test
    clipnav.envs.mattersim.install(version=request.param)
    return request.param


class Client:
    """One simulator, like an entry of the `EnvBatch` of EnvDrop (0.1) or HAMT (0.2)."""

    def __init__(self, version, graphs):
        import MatterSim

        self.is_batch = version == "0.2"
        self.sim = MatterSim.Simulator()
        self.sim.setNavGraphPath(graphs)
        self.sim.setRenderingEnabled(False)
        self.sim.setDiscretizedViewingAngles(True)
        self.sim.setCameraResolution(640, 480)
        self.sim.setCameraVFOV(math.radians(60))
        if self.is_batch:
            self.sim.setBatchSize(1)
            self.sim.initialize()
        else:
            self.sim.init()

    def begin(self, *start):
        self.sim.newEpisode(*([value] if self.is_batch else value for value in start))

    def state(self):
        return self.sim.getState()[0] if self.is_batch else self.sim.getState()

    def act(self, *action):
        self.sim.makeAction(*([value] if self.is_batch else value for value in action))


def swept_candidates(client, scan, viewpoint):
    """Sweep over the 36 views of a viewpoint: {neighbour: (view, index in that view's list)}."""
    best = {}
    for view in range(36):
        if view == 0:
            client.begin(scan, viewpoint, 0, math.radians(-30))
        else:
            client.act(0, 1.0, 1.0 if view % 12 == 0 else 0)
        state = client.state()
        assert state.viewIndex == view
        for k, location in enumerate(state.navigableLocations[1:], start=1):
            distance = math.hypot(location.rel_heading, location.rel_elevation)
            if location.viewpointId not in best or distance < best[location.viewpointId][0]:
                best[location.viewpointId] = distance, view, k
    return {name: (view, k) for name, (_, view, k) in best.items()}


def go(client, view, index):
    """Turn the camera to a view step by step, then move."""
    start = client.state().viewIndex
    for _ in range(abs(view // 12 - start // 12)):
        client.act(0, 0, 1 if view > start else -1)
    while client.state().viewIndex != view:
        client.act(0, 1, 0)
    client.act(index, 0, 0)


def test_a_sweep_finds_the_candidates_and_moves_reach_them(version, tiny_graphs):
    client = Client(version, tiny_graphs)
    graph = NavGraph.load("attic", tiny_graphs)
    table = candidate_table(graph)
    for i, viewpoint in enumerate(graph.viewpoint_ids):
        candidates = swept_candidates(client, "attic", viewpoint)
        present = table.targets[i] >= 0
        assert list(candidates) == [graph.viewpoint_ids[j] for j in table.targets[i][present]]
        views = [view for view, _ in candidates.values()]
        assert views == table.views[i][present].tolist()
        for target, (view, index) in candidates.items():
            client.begin("attic", viewpoint, 0.9, 0.0)
            go(client, view, index)
            assert client.state().location.viewpointId == target
            assert client.state().viewIndex == view


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
