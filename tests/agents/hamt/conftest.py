"""Fixtures: settings of small HAMT agents in the world of the doors."""

import dataclasses

import pytest

from clipnav.agents.hamt.settings import HistoryTrainConfig, HistoryTransformerConfig
from clipnav.agents.settings import ReinforcementConfig
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.agents.duet.conftest import tree_settings, trees

__all__ = ["tree_settings", "trees"]  # fixtures of map agents

NETWORK = HistoryTransformerConfig(
    hidden_size=32,
    heads=2,
    feed_forward_size=64,
    text_layers=1,
    panorama_layers=1,
    cross_layers=2,
    max_text_length=80,
    max_steps=12,
    dropout=0.0,
    feature_dropout=0.0,
)


@pytest.fixture
def history_config(doors_run, tmp_path):
    """Settings of a small HAMT agent in the world of the doors."""
    return HistoryTrainConfig(
        **{**doors_run, "batch_size": 8, "max_episode_steps": 4},
        iterations=150,
        output=tmp_path / "run",
        network=NETWORK,
        sampled_weight=0.0,
        optimiser=OptimiserConfig(name="adam", learning_rate=3e-3, schedule="cosine", warmup=20),
    )


@pytest.fixture
def short_config(history_config):
    """Settings of a run of a few iterations with both losses and all kinds of dropout."""
    return dataclasses.replace(
        history_config,
        iterations=6,
        instructions_per_path=3,
        cloning_iterations=2,
        sampled_weight=1.0,
        reinforcement=ReinforcementConfig(weight=1.0),
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        network=dataclasses.replace(
            NETWORK,
            dropout=0.1,
            feature_dropout=0.3,
            feature_dropout_kind="episode",
            standardise=True,
        ),
    )
