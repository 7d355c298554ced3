"""Known paths against walks of the agent, and paths with a second visit."""

import numpy as np
import pytest
import torch

from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.learner import known_paths
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.duet.states import fusion_matrix, view_directions
from clipnav.agents.maps.experts import path_targets
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.topological_maps import TopologicalMaps
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
        use_instructions=False,
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


@pytest.fixture(scope="module")
def two_houses():
    return MapGeometry.of(NavWorld([NavGraph.load(scan) for scan in ("house_00", "house_01")]))


def test_padding_of_candidates_adds_nothing():
    fusion = fusion_matrix(
        np.array([[-1, 0, 1, 2, -1]]), np.array([[1, -1, -1]]), np.array([[0, 1, 0, 0, 0]], bool)
    )
    assert fusion[0].sum(1).tolist() == [1, 0, 1, 0, 0]
    assert fusion[0, 2, 1] == 1


def test_path_targets_lead_along_a_path_with_a_loop(two_houses):
    world, rows = two_houses.world, np.array([0])
    start = 0
    neighbour = int(two_houses.candidates[start, 0])
    path = [start, neighbour, start, neighbour]
    maps = TopologicalMaps(two_houses, 1)
    for here, following in zip(path, [*path[1:], -1], strict=True):
        maps.visit(rows, np.array([here]))
        tokens = maps.tokens(rows, np.array([12]))
        target = path_targets(maps, rows, tokens, np.array([following]))[0]
        if following < 0:
            assert target == 0
        else:
            assert maps.nodes[0, tokens.slots[0, target]] == following
    outside = next(n for n in range(len(world)) if maps.slots_of(rows, np.array([n]))[0] < 0)
    with pytest.raises(ValueError, match="known map"):
        path_targets(maps, rows, tokens, np.array([outside]))


def test_directions_of_views_turn_with_the_agent(two_houses):
    nodes = np.array([3, 3])
    ahead, types = view_directions(two_houses, nodes, np.array([12, 15]))
    count, candidates = two_houses.token_counts[3], two_houses.candidate_counts[3]
    assert types[0].sum() == candidates
    angles = np.arctan2(ahead[:, :count, 0], ahead[:, :count, 1])
    turned = (angles[0] - angles[1] + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(turned, np.pi / 2, atol=1e-5)
    assert (ahead[:, count:] == 0).all()
