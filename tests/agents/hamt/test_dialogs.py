"""HAMT on CVDN, and the paths that it learns from there."""

import dataclasses

import numpy as np

from clipnav.agents.experiments.training import train
from clipnav.agents.hamt.learner import HistoryLearner
from clipnav.envs.navigation.drawn_paths import DrawnPaths
from clipnav.envs.navigation.references import ReferencePaths


def dialog_config(short_config, tiny_world):
    """Return settings in a world with three training dialogs."""
    return dataclasses.replace(
        short_config,
        dataset="cvdn",
        data_dir=tiny_world,
        features=tiny_world / "features.safetensors",
        instructions_per_path=1,
        iterations=2,
        batch_size=1,
        cloning_iterations=0,
        drawn_paths="ends-and-players",
        select_metric="GP",
    )


def test_hamt_learns_from_dialogs_and_is_chosen_by_progress(short_config, tiny_world):
    config = dialog_config(short_config, tiny_world)
    results = train(config)["val_unseen"]
    assert np.isfinite(results["HAMT"]["GP"])
    assert results["reference path"]["GP"] > max(0, results["random"]["GP"])


def test_half_of_the_paths_are_those_of_the_navigator(short_config, tiny_world):
    env = HistoryLearner(dialog_config(short_config, tiny_world)).env
    world, episodes = env.nav_world, env.episodes
    # The navigator goes back before the goal is reached.
    walked = [(*e.goal.player_path[:2], *e.goal.player_path[:2], *e.path[2:]) for e in episodes]
    goals = [
        dataclasses.replace(e.goal, player_path=path)
        for e, path in zip(episodes, walked, strict=True)
    ]
    episodes = [
        dataclasses.replace(e, target=goal) for e, goal in zip(episodes, goals, strict=True)
    ]
    paths = DrawnPaths(world, episodes, ReferencePaths.of(world, episodes), players=True)
    rng, counts = np.random.default_rng(0), np.zeros(len(episodes))
    for _ in range(400):
        drawn = paths.draw(rng)
        for row, path in enumerate(walked):
            nodes = drawn.nodes[row, : drawn.sizes[row]]
            ids = tuple(world.viewpoint_ids[node] for node in nodes)
            counts[row] += ids == path
            assert ids == path or ids[-1] in goals[row].viewpoints
    np.testing.assert_allclose(counts / 400, 0.5, atol=0.1)
