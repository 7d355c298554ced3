import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.metrics import score_path


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


def test_masked_actions_stay_and_give_no_reward(make_env):
    env = make_env(1)
    observation, info = env.reset(options={"episode_ids": ["102_0"]})
    forbidden = int(np.flatnonzero(observation["action_mask"][0] == 0)[0])
    again, reward, terminated, truncated, after = env.step(np.array([forbidden]))
    assert (reward[0], terminated[0], truncated[0]) == (0, False, False)
    assert after["viewpoint"] == info["viewpoint"]
    assert env.paths() == [[info["viewpoint"][0]]]
    assert data_equivalence(observation, again)


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


def test_final_metrics_equal_score_path(make_env, random_actions):
    env = make_env(8, max_episode_steps=9)
    observation, _ = env.reset(seed=11)
    rng = np.random.default_rng(11)
    scored = 0
    for _ in range(120):
        actions = random_actions(rng, observation["action_mask"])
        # Include masked actions, which must not change the path.
        actions[rng.random(8) < 0.1] = env.single_action_space.n - 1
        observation, _, terminated, truncated, info = env.step(actions)
        ended = terminated | truncated
        np.testing.assert_array_equal(ended, info.get("_metrics", np.zeros(8, dtype=bool)))
        for i in np.flatnonzero(ended):
            episode = env.current_episodes()[i]
            graph = env.nav_world.graphs[episode.scan]
            expected = score_path(graph, env.paths()[i], episode.path)
            assert set(expected) == {n for n in info["metrics"] if not n.startswith("_")}
            for name, value in expected.items():
                assert info["metrics"][name][i] == pytest.approx(value, abs=1e-9), name
            scored += 1
    assert scored > 50


def test_episodes_truncate_after_their_steps(make_env):
    env = make_env(2, max_episode_steps=3, autoreset_mode=AutoresetMode.DISABLED)
    observation, _ = env.reset(seed=2)
    for step in range(1, 6):
        forward = np.array([np.flatnonzero(row)[1] for row in observation["action_mask"]])
        observation, rewards, terminated, truncated, _ = env.step(forward)
        assert truncated.tolist() == [step >= 3] * 2
        assert not terminated.any()
        assert step <= 3 or not rewards.any()
    assert [len(path) for path in env.paths()] == [4, 4]


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
