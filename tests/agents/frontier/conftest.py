"""Settings of small frontier agents in the world of the doors."""

import dataclasses

import pytest

from clipnav.agents.frontier.settings import FrontierTrainConfig


@pytest.fixture
def frontier_config(doors_run, doors_config, tmp_path):
    """Settings of a small frontier agent in that world."""
    return FrontierTrainConfig(
        **doors_run,
        iterations=100,
        output=tmp_path / "frontier",
        follower=dataclasses.replace(doors_config.follower, candidate_mlp=True),
        optimiser=doors_config.optimiser,
        max_decisions=6,
    )


@pytest.fixture
def short_config(frontier_config):
    """Settings of a run of a few iterations with both kinds of dropout."""
    return dataclasses.replace(
        frontier_config,
        iterations=6,
        batch_size=8,
        cloning_iterations=2,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        follower=dataclasses.replace(frontier_config.follower, feature_dropout=0.3),
        optimiser=dataclasses.replace(frontier_config.optimiser, schedule="constant"),
    )
