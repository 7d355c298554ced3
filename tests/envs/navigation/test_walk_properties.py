"""Properties that hold for all walks in random buildings."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.metrics import score_path
from clipnav.envs.navigation.walks import Walks


def random_graph(rng, scan, size):
    edges = np.triu(rng.random((size, size)) < rng.uniform(0.1, 0.8), 1)
    edges |= edges.T
    poses = np.tile(np.eye(4), (size, 1, 1))
    poses[:, :3, 3] = rng.uniform(-6, 6, (size, 3)) * [1, 1, 0.2]
    records = [
        {
            "image_id": f"{scan}{i}",
            "pose": poses[i].ravel().tolist(),
            "included": bool(rng.random() < 0.9 or i == 0),
            "unobstructed": edges[i].tolist(),
            "height": 1.5,
        }
        for i in range(size)
    ]
    return NavGraph(scan, records)


def random_episode(rng, number, graph):
    """Draw a path that may turn back, cross itself, repeat viewpoints, or be only a start."""
    path = [str(rng.choice(graph.viewpoint_ids))]
    for _ in range(rng.integers(0, 7)):
        path.append(str(rng.choice([*graph.neighbours(path[-1]), path[-1]])))
    heading = float(rng.uniform(-7, 7))
    return Episode(str(number), number, graph.scan, tuple(path), heading, "Go.", "en")


def random_world(rng):
    graphs = [random_graph(rng, scan, int(rng.integers(1, 12))) for scan in "pq"]
    world = NavWorld(graphs, 1 + max(1, *(int(g.adjacency.sum(1).max()) for g in graphs)))
    return world, [random_episode(rng, i, graphs[i % 2]) for i in range(10)]


@given(
    seed=st.integers(0, 2**31),
    teacher=st.sampled_from(["shortest", "reference"]),
    obedience=st.floats(0, 1),
    num_agents=st.integers(1, 6),
)
@settings(max_examples=25, deadline=None)
def test_walks_stay_on_the_graph_and_match_score_path(seed, teacher, obedience, num_agents):
    rng = np.random.default_rng(seed)
    world, episodes = random_world(rng)
    walks = Walks(world, episodes, num_agents, teacher=teacher, reward="ndtw")
    everyone = np.arange(num_agents)
    walks.start(everyone, rng.integers(0, len(episodes), num_agents))
    for _ in range(rng.integers(0, 25)):
        advice = walks.teacher_actions()
        assert world.mask[walks.nodes, advice].all()
        before = walks.nodes.copy()
        random = rng.integers(0, world.num_actions, num_agents)
        walks.step(np.where(rng.random(num_agents) < obedience, advice, random), max_steps=9)
        for origin, target in zip(before, walks.nodes, strict=True):
            names = world.viewpoint_ids[[origin, target]]
            assert origin == target or names[1] in graph_of(world, origin).neighbours(names[0])
        check_scores(world, episodes, walks)
        over = np.flatnonzero((walks.terminated | walks.truncated) & (rng.random(num_agents) < 0.5))
        walks.start(over, rng.integers(0, len(episodes), len(over)))


def graph_of(world, node):
    return world.graphs[world.scan_names[node]]


def check_scores(world, episodes, walks):
    metrics = walks.metrics(np.arange(len(walks.nodes)))
    for agent, episode in enumerate(episodes[number] for number in walks.episodes):
        path = [pose[0] for pose in walks.trajectory(agent)]
        graph = world.graphs[episode.scan]
        assert path[0] == episode.path[0]
        assert path[-1] == world.viewpoint_ids[walks.nodes[agent]]
        assert all(after in graph.neighbours(here) for here, after in itertools.pairwise(path))
        assert walks.has_goal[agent] == episode.has_goal
        if not episode.has_goal:
            assert np.isnan(walks.distances[agent])
            continue
        expected = score_path(graph, path, episode.path)
        assert walks.distances[agent] == expected["nav_error"]
        for name, value in expected.items():
            assert metrics[name][agent] == pytest.approx(value, abs=1e-9), name
        assert 0 <= expected["sdtw"] <= expected["ndtw"] <= 1
        assert expected["spl"] <= expected["success"] <= expected["oracle_success"]


@given(seed=st.integers(0, 2**31), teacher=st.sampled_from(["shortest", "reference"]))
@settings(max_examples=15, deadline=None)
def test_following_the_teacher_reaches_the_goal(seed, teacher):
    rng = np.random.default_rng(seed)
    world, episodes = random_world(rng)
    walks = Walks(world, episodes, len(episodes), teacher=teacher)
    walks.start(np.arange(len(episodes)), np.arange(len(episodes)))
    # Deviate at random first, then follow the teacher.
    detours = rng.integers(0, 4)
    for _ in range(detours):
        choices = world.mask[walks.nodes] * rng.random((len(episodes), world.num_actions))
        choices[:, 0] = 0
        walks.step(choices.argmax(axis=1), max_steps=10_000)
    strayed = walks.terminated.copy()  # nowhere to go: stopped
    for _ in range(200):
        walks.step(walks.teacher_actions(), max_steps=10_000)
    assert walks.terminated.all()
    for agent in np.flatnonzero(walks.has_goal & ~strayed):
        assert walks.distances[agent] == 0
        if teacher == "reference" and not detours:
            path = [pose[0] for pose in walks.trajectory(int(agent))]
            assert path == [viewpoint for viewpoint, _ in itertools.groupby(episodes[agent].path)]
