"""Movement, rewards and teachers; the last tests use random buildings."""

import itertools

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.metrics import score_path
from clipnav.envs.navigation.references import ReferencePaths, ReferenceTeacher
from clipnav.envs.navigation.rewards import distance_reward, distance_rewards, ndtw_rewards
from clipnav.envs.navigation.walks import Walks


def test_moves_follow_edges_and_face_the_candidate(make_env, random_actions):
    env = make_env(8, max_episode_steps=40)
    observation, info = env.reset(seed=3)
    rng = np.random.default_rng(3)
    before = info["viewpoint"]
    ended = np.zeros(8, dtype=bool)
    for _ in range(100):
        actions = random_actions(rng, observation["action_mask"])
        observation, _, terminated, truncated, info = env.step(actions)
        for i in np.flatnonzero(~ended & (actions > 0)):
            graph = env.nav_world.graphs[info["scan"][i]]
            table, row = candidate_table(graph), graph.index(before[i])
            assert graph.index(info["viewpoint"][i]) == table.targets[row, actions[i] - 1]
            view = table.views[row, actions[i] - 1]
            assert observation["heading"][i, 0] == pytest.approx(view % 12 * np.pi / 6, abs=1e-6)
            elevation = (view // 12 - 1) * np.pi / 6
            assert observation["elevation"][i, 0] == pytest.approx(elevation, abs=1e-6)
        ended = terminated | truncated
        before = info["viewpoint"]


def test_rewards_follow_the_distance_to_the_goal(make_env, random_actions):
    env = make_env(6)
    observation, info = env.reset(seed=5)
    rng = np.random.default_rng(5)
    ended = np.zeros(6, dtype=bool)
    seen = set()
    for _ in range(200):
        before = info["distance_to_goal"]
        actions = random_actions(rng, observation["action_mask"], 0.2)
        observation, rewards, terminated, truncated, info = env.step(actions)
        for i in range(6):
            after = info["distance_to_goal"][i]
            if ended[i]:
                expected = 0
            elif actions[i] == 0:
                expected = 2 if after < 3 else -2
            else:
                expected = np.sign(before[i] - after)
            assert rewards[i] == expected
            seen.add(float(rewards[i]))
        ended = terminated | truncated
    assert seen == {0, 1, -1, 2, -2}


def test_long_trajectories_are_complete(make_env, random_actions):
    env = make_env(1, max_episode_steps=1000)
    observation, _ = env.reset(options={"episode_ids": ["100_0"]})
    rng = np.random.default_rng(0)
    visited = env.paths()[0]
    for _ in range(300):
        observation, *_, info = env.step(random_actions(rng, observation["action_mask"], stop=0))
        visited.append(info["viewpoint"][0])
    assert env.paths() == [visited]
    assert [step[0] for step in env.trajectories()[0]] == visited
    assert env.trajectories()[0][-1][1] == pytest.approx(observation["heading"][0, 0], abs=1e-6)


def long_route(env, agent, size):
    """Return a route of neighbouring nodes, and the actions that follow it."""
    world = env.nav_world
    node, nodes, actions = int(env.reset(seed=4)[0]["viewpoint"][agent]), [], []
    for number in range(size):
        action = 1 + number % int(world.valid[node, 1:].sum())
        node = int(world.targets[node, action])
        nodes.append(node)
        actions.append(action)
    return nodes, actions


@pytest.fixture
def route_env(make_env):
    return make_env(3, autoreset_mode=AutoresetMode.DISABLED, observe="indices")


def test_a_route_equals_its_steps(route_env, make_env):
    nodes, actions = long_route(route_env, 1, 4)
    other = make_env(3, autoreset_mode=AutoresetMode.DISABLED, observe="indices")
    other.reset(seed=4)
    stepped = []
    for action in [*actions, 0]:
        observation, rewards, terminated, _, info = other.step(np.array([0, action, 0]))
        stepped.append(rewards[1])
    routes = np.full((3, 4), -1)
    routes[1] = nodes
    again, rewards, done, truncated, after = route_env.follow(routes, np.array([0, 1, 0], bool))
    for name in observation:
        np.testing.assert_array_equal(again[name][1], observation[name][1])
    assert rewards.tolist() == [0.0, pytest.approx(sum(stepped)), 0.0]
    assert done.tolist() == [False, True, False]
    assert terminated[1]
    assert not truncated.any()
    assert route_env.trajectories()[1] == other.trajectories()[1]
    for name, values in other.metrics().items():
        assert route_env.metrics()[name][1] == values[1]
    assert after["metrics"]["success"][1] == info["metrics"]["success"][1]


def test_agents_without_a_route_wait_without_a_step(make_env):
    env = make_env(3, autoreset_mode=AutoresetMode.DISABLED, observe="indices", max_episode_steps=3)
    nodes, _ = long_route(env, 1, 2)
    routes = np.full((3, 2), -1)
    routes[1] = nodes
    env.follow(routes, np.zeros(3, bool))
    back = np.full((3, 1), -1)
    back[1] = nodes[0]
    _, _, terminated, truncated, _ = env.follow(back, np.zeros(3, bool))
    assert truncated.tolist() == [False, True, False]
    assert not terminated.any()
    assert [len(path) for path in env.paths()] == [1, 4, 1]


def test_routes_beyond_edges_are_refused_before_anybody_moves(route_env):
    nodes, _ = long_route(route_env, 1, 2)
    paths = route_env.paths()
    beyond = len(route_env.nav_world)
    for wrong in ([nodes[0], nodes[0]], [-1, nodes[0]], [beyond, nodes[0]]):
        routes = np.full((3, 2), -1)
        routes[0] = wrong
        routes[1] = nodes
        with pytest.raises(ValueError, match="route of agent 0"):
            route_env.follow(routes, np.zeros(3, bool))
    assert route_env.paths() == paths


def test_routes_may_be_lists_and_need_a_row_per_agent(route_env):
    nodes, _ = long_route(route_env, 1, 1)
    for routes, stop, message in (
        ([nodes], [False] * 3, r"integers of shape \(3, H\), not int64 of shape \(1, 1\)"),
        ([[-1.0]] * 3, [False] * 3, "not float64 of shape"),
        ([[-1], [-5], [-1]], [False] * 3, "the node -5; pad them with -1"),
        ([[-1]] * 3, [False], "stop must be 3 bools"),
    ):
        with pytest.raises(ValueError, match=message):
            route_env.follow(routes, stop)
    route_env.follow([[-1], nodes, [-1]], [False, True, False])
    assert [len(path) for path in route_env.paths()] == [1, 2, 1]


def test_routes_require_an_environment_without_autoreset(make_env):
    env = make_env(2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="autoreset"):
        env.follow(np.zeros((2, 0), int), np.zeros(2, bool))


BEFORE = np.array([5.0, 5.0, 5.0, 0.4, 2.9, 3.0, np.nan])
AFTER = np.array([4.0, 6.0, 5.0, 2.0, 2.9, 3.0, np.nan])
STOP = np.array([False, False, False, False, True, True, False])


def test_the_reward_of_one_agent_is_that_of_a_batch():
    known = ~np.isnan(BEFORE)
    columns = [column[known].tolist() for column in (BEFORE, AFTER, STOP)]
    assert distance_rewards(*map(np.array, columns)).tolist() == [1, -1, 0, -1, 2, -2]
    assert [distance_reward(*row) for row in zip(*columns, strict=True)] == [1, -1, 0, -1, 2, -2]


def test_ndtw_rewards_in_closed_form():
    before = np.array([0.2, 0.5, 0.5, 0.9, 0.7, 0.7, 0.5])
    after = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.5])
    rewards = ndtw_rewards(BEFORE, AFTER, STOP, before, after)
    # A gain of 0.1; a loss of 0.1; nothing; a loss of 0.3 and, 0.4 m from the goal, of 2 * 0.6; a
    # stop within 3 m on a path of nDTW 0.7; a stop at 3 m, which is too far.
    expected = [1 + 0.1, -1 - 0.1, 0, -1 - 0.3 - 1.2, 2 + 1.4, -2, np.nan]
    np.testing.assert_allclose(rewards, expected, atol=1e-12)


def test_the_environment_gives_ndtw_rewards_at_each_step(make_env, random_actions):
    env = make_env(6, reward="ndtw")
    observation, info = env.reset(seed=5)
    rng = np.random.default_rng(5)
    ended, seen = np.zeros(6, dtype=bool), 0
    ndtw = env.metrics()["ndtw"]
    for _ in range(100):
        before, ndtw_before = info["distance_to_goal"], ndtw
        actions = random_actions(rng, observation["action_mask"], 0.2)
        observation, rewards, terminated, truncated, info = env.step(actions)
        ndtw = [
            score_path(env.nav_world.graphs[episode.scan], path, episode.path)["ndtw"]
            for episode, path in zip(env.current_episodes(), env.paths(), strict=True)
        ]
        for i in range(6):
            after = info["distance_to_goal"][i]
            if ended[i]:
                expected = 0
            elif actions[i] == 0:
                expected = 2 + 2 * ndtw[i] if after < 3 else -2
            else:
                expected = np.sign(before[i] - after) + ndtw[i] - ndtw_before[i]
                if before[i] <= 1 and after > before[i]:
                    expected -= 2 * (1 - before[i])
                    seen += 1
            assert rewards[i] == pytest.approx(expected, abs=1e-9)
        ended = terminated | truncated
    assert seen > 5


@pytest.fixture(scope="module")
def attic(tiny_world):
    """Lattice of 3 x 3 (rows a0 a1 a2, a3 a4 a5, a6 a7 a8) with an extra edge from a0 to a4."""
    return NavWorld.load(["attic"], tiny_world / "matterport" / "connectivity")


def references_of(world, *paths):
    """Build reference paths from digits: [0, 1] goes from a0 to a1."""
    episodes = [
        Episode(str(i), i, "attic", tuple(f"a{v}" for v in path), 0.0, "Go.", "en")
        for i, path in enumerate(paths)
    ]
    return ReferencePaths.of(world, episodes)


def taught(world, path, walked):
    """Return the teacher's target at each viewpoint of a walk; "stop" where it stops."""
    assert walked[0] == path[0]
    teacher = ReferenceTeacher(world, references_of(world, path), 1)
    agent = episode = np.array([0])
    teacher.start(agent, episode)
    sent = []
    for step, v in enumerate(walked):
        nodes = np.array([world.node("attic", f"a{v}")])
        if step:
            teacher.arrive(agent, episode, nodes)
        action = teacher.actions(episode, nodes)[0]
        target = world.targets[nodes[0], action]
        sent.append(world.viewpoint_ids[target][1:] if action else "stop")
    return " ".join(sent)


@pytest.mark.parametrize(
    ("path", "walked", "sent"),
    [
        # Along the path to its end, although a0 - a4 - a5 is shorter.
        ([0, 1, 2, 5], [0, 1, 2, 5], "1 2 5 stop"),
        # Off the path at a4: to a1, the nearest viewpoint ahead. Reaching the end passes all.
        ([0, 1, 2, 5], [0, 4, 5], "1 1 stop"),
        # Back on a passed viewpoint: to the one after the last passed viewpoint.
        ([0, 1, 2, 5, 8], [0, 1, 0, 1, 2], "1 2 1 2 5"),
        # A shortcut passes the viewpoints that it skips.
        ([0, 3, 4, 5], [0, 4, 5], "3 5 stop"),
        # Beyond the goal: back to it.
        ([0, 1, 2], [0, 1, 2, 5, 8, 5, 2], "1 2 stop 2 5 2 stop"),
        # A path that crosses itself is followed to its end.
        ([1, 4, 5, 4, 7], [1, 4, 5, 4, 7], "4 5 4 7 stop"),
        # Through the goal and back to it.
        ([3, 4, 5, 8, 7, 4], [3, 4, 5, 8, 7, 4], "4 5 8 7 4 stop"),
        # A viewpoint that is repeated.
        ([0, 0, 1, 1, 2, 2], [0, 1, 2], "1 2 stop"),
        # Two viewpoints that are not neighbours: the shortest path between them.
        ([0, 8], [0, 4, 5, 8], None),
        # A path of only a start: stay, or return to it.
        ([4], [4, 5], "stop 4"),
    ],
)
def test_teacher_follows_the_path_and_returns_to_it(attic, path, walked, sent):
    if sent is None:
        graph = attic.graphs["attic"]
        hops = [graph.next_hop(f"a{v}", f"a{path[-1]}")[1:] for v in walked[:-1]]
        sent = " ".join([*hops, "stop"])
    assert taught(attic, path, walked) == sent


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
