"""A world in which most episodes succeed only by turning back."""

import dataclasses

import pytest

from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.experiments.training import train
from clipnav.agents.frontier.settings import FrontierTrainConfig


def test_the_map_agent_learns_to_turn_back(tree_settings, map_config, tmp_path):
    config = MapTrainConfig(
        **{**tree_settings, "batch_size": 8},
        iterations=80,
        max_decisions=11,
        output=tmp_path / "map",
        network=map_config.network,
        optimiser=map_config.optimiser,
        teacher_weight=0.2,
    )
    results = train(config)
    assert results["val_unseen"]["map agent"]["SR"] == 1.0


def test_the_frontier_agent_learns_to_turn_back(tree_settings, doors_config, tmp_path):
    config = FrontierTrainConfig(
        **tree_settings,
        iterations=250,
        output=tmp_path / "frontier",
        follower=dataclasses.replace(doors_config.follower, candidate_mlp=True),
        optimiser=dataclasses.replace(doors_config.optimiser, learning_rate=5e-3),
    )
    results = train(config)
    assert results["val_unseen"]["frontier agent"]["SR"] == 1.0


@pytest.mark.parametrize("feedback", ["teacher", "sample"])
def test_the_follower_does_not_learn_to_turn_back(tree_settings, doors_config, tmp_path, feedback):
    config = TrainConfig(
        **tree_settings,
        iterations=120,
        output=tmp_path / "follower",
        follower=doors_config.follower,
        optimiser=doors_config.optimiser,
        feedback=feedback,
        max_training_steps=20,
    )
    results = train(config)
    assert results["val_unseen"]["follower"]["SR"] < 0.8
