"""Goals of several viewpoints: distances, teachers, rewards and metrics."""

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from clipnav.envs.episodes.episode import own_goals
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.metrics import score_paths
from clipnav.envs.navigation.settings import EnvSettings
from clipnav.envs.navigation.vector_env import VlnVectorEnv

SETTINGS = EnvSettings(max_episode_steps=6, angle_feature_size=4)


@pytest.fixture(scope="module")
def split():
    return load_split(split="val_seen")


def random_goals(split, seed):
    """Episodes with goals of one to four viewpoints of their buildings."""
    rng = np.random.default_rng(seed)
    episodes = []
    for episode in split.episodes:
        names = split.nav_world.graphs[episode.scan].viewpoint_ids
        chosen = tuple(rng.choice(names, rng.integers(1, 5), replace=False).tolist())
        spl_end = chosen[-1] if rng.random() < 0.5 else None
        goal = Goal(chosen, (None, 0.0, 5.0)[rng.integers(3)], spl_end)
        episodes.append(replace(episode, target=goal))
    return replace(split, episodes=episodes)


def walked(split, seed, steps=40):
    """Results of random steps, and the metrics of the walks of each ended episode."""
    env = VlnVectorEnv(split, 16, SETTINGS, AutoresetMode.SAME_STEP)
    _, info = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        random = [rng.choice(np.flatnonzero(mask)) for mask in info["action_mask"]]
        actions = np.where(rng.random(16) < 0.5, info["teacher_action"], random)
        before, episodes, trajectories = info, env.current_episodes(), env.trajectories()
        _, rewards, terminated, truncated, info = env.step(actions)
        yield before, actions, rewards, terminated | truncated, info, episodes, trajectories, env


def test_the_end_of_the_path_as_goal_changes_nothing(split):
    same = replace(split, episodes=[replace(e, target=e.goal) for e in split.episodes])
    for one, other in zip(walked(split, 1), walked(same, 1), strict=True):
        for name in ("distance_to_goal", "teacher_action"):
            np.testing.assert_array_equal(one[4][name], other[4][name])
        np.testing.assert_array_equal(one[2], other[2])
        if one[3].any():
            first, second = (step[4]["final_info"]["metrics"] for step in (one, other))
            for name, values in first.items():
                np.testing.assert_array_equal(values, second[name])


def test_distances_rewards_and_metrics_are_those_of_the_nearest_viewpoint(split):
    ended = 0
    for before, actions, rewards, done, info, episodes, trajectories, env in walked(
        random_goals(split, 2), 2
    ):
        for row in range(16):
            episode, graph = episodes[row], env.nav_world.graphs[episodes[row].scan]
            goal, here = episode.goal, before["viewpoint"][row]
            there = before["candidates"][row][actions[row]] or here
            far, after = (min(graph.geodesic(v, g) for g in goal.viewpoints) for v in (here, there))
            assert before["distance_to_goal"][row] == far
            radius = 3.0 if goal.radius is None else goal.radius
            success = after < radius or after == 0
            stops = actions[row] == 0
            assert rewards[row] == ((2 if success else -2) if stops else np.sign(far - after))
            teacher = before["teacher_action"][row]
            if far == 0:
                assert teacher == 0
            else:
                onward = before["candidates"][row][teacher]
                rest = min(graph.geodesic(onward, g) for g in goal.viewpoints)
                assert graph.geodesic(here, onward) + rest == pytest.approx(far)
            if not done[row]:
                continue
            ended += 1
            metrics = info["final_info"]["metrics"]
            path = [pose[0] for pose in trajectories[row]] + ([] if stops else [there])
            again = score_paths(graph, [path], [episode.path], goals=own_goals([episode]))
            for name, values in again.items():
                assert metrics[name][row] == pytest.approx(values[0], abs=1e-12)
            nearest = min(graph.geodesic(v, g) for v in path for g in goal.viewpoints)
            assert metrics["oracle_error"][row] == nearest
            assert metrics["nav_error"][row] == after
            assert metrics["success"][row] == success
            best = min(graph.geodesic(path[0], end) for end in goal.spl_ends)
            assert metrics["shortest_path_length"][row] == best
            length = max(best, graph.path_length(path), 0.01)
            assert metrics["spl"][row] == pytest.approx(success * best / length)
    assert ended > 80
