"""Known paths against walks of the agent, and paths with a second visit."""

import numpy as np
import pytest
import torch

from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.learner import known_paths
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.references import along_edges, path_views

SIZES = (16, 2, 32, 1, 1, 2, 16, 12)


@pytest.fixture(scope="module")
def geometry():
    return MapGeometry.of(NavWorld([NavGraph.load("house_00")]))


@pytest.fixture
def features(geometry):
    return WorldFeatures(geometry, torch.randn(len(geometry.world), 36, 5))


def looped_path(geometry):
    """Return a path that passes its goal early and enters two viewpoints twice."""
    neighbour = int(geometry.candidates[0, 0])
    other = next(int(n) for n in geometry.candidates[neighbour] if n > 0)
    return [0, neighbour, other, neighbour, 0, neighbour]


def model_of(revisits):
    torch.manual_seed(0)
    config = MapTransformerConfig(*SIZES, dropout=0.0, feature_dropout=0.0, revisits=revisits)
    return MapTransformer(config, 99, 5)


def test_one_text_for_all_steps_equals_a_text_for_each(geometry, features):
    path = np.array([looped_path(geometry)])
    views = path_views(geometry.world, path, np.array([12]))
    paths = known_paths(geometry, path, views, revisits=True)
    model = model_of(revisits=True).eval()
    text = model.read(torch.tensor([[1, 4, 2]]))
    inputs = paths.encode(model, features)
    shared = model.score(text, *inputs)
    repeated = model.score(text.rows(torch.zeros(len(paths.targets)).long()), *inputs)
    torch.testing.assert_close(shared.decision, repeated.decision)


def test_views_along_a_path_are_those_of_the_walk(doors_env):
    world = doors_env.nav_world
    geometry = MapGeometry.of(world)
    episodes = doors_env.episodes[: doors_env.num_envs]
    nodes = np.array([[world.node(e.scan, v) for v in e.path] for e in episodes])
    seen = []

    def policy(maps, state, scores, labels):
        seen.append(state)
        slots = maps.slots_of(state.rows, nodes[state.rows, len(seen) % 2])
        return (state.tokens.slots == slots[:, None]).argmax(1) * (len(seen) < 2)

    model = model_of(revisits=False)
    agent = MapAgent(
        model,
        WorldFeatures(geometry, torch.randn(len(world), 36, 5)),
        2,
        policy,
        reads_instructions=False,
    )
    agent.walk(doors_env, [e.instr_id for e in episodes])
    views = path_views(world, nodes, seen[0].views)
    np.testing.assert_array_equal(views[:, 1], seen[1].views)
    paths = known_paths(geometry, nodes, views)
    np.testing.assert_array_equal(
        paths.state.tokens.positions[len(episodes) :], seen[1].tokens.positions
    )


def test_shortest_paths_are_inserted_between_distant_nodes(geometry):
    world = geometry.world
    near = int(geometry.candidates[0, 0])
    far = next(n for n in range(1, len(world)) if n not in geometry.candidates[0])
    nodes = np.array([[0, near, -1], [0, far, 0]])
    completed = along_edges(world, nodes)
    assert completed[0, :2].tolist() == [0, near]
    assert (completed[0, 2:] == -1).all()
    path = completed[1][completed[1] >= 0]
    assert path[0] == path[-1] == 0
    length = world.distance(path[:-1], path[1:]).sum()
    assert length == pytest.approx(2 * world.distance(np.array([0]), np.array([far]))[0])
    path_views(world, completed, np.array([0, 0]))
    np.testing.assert_array_equal(along_edges(world, nodes[:1]), nodes[:1])


def test_paths_beyond_edges_are_refused(geometry):
    far = next(n for n in range(1, len(geometry.world)) if n not in geometry.candidates[0])
    with pytest.raises(ValueError, match="not a neighbour"):
        path_views(geometry.world, np.array([[0, far]]), np.array([0]))


def test_paths_beyond_the_table_of_steps_are_refused(geometry, features):
    path = np.array([looped_path(geometry)])
    paths = known_paths(geometry, path, np.full(path.shape, 12), revisits=True)
    config = MapTransformerConfig(16, 2, 32, 1, 1, 2, 16, max_steps=path.shape[1])
    with pytest.raises(ValueError, match=r"--network.max-steps"):
        paths.encode(MapTransformer(config, 9, 5), features)
