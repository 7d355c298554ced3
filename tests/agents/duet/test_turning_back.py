"""A world in which most episodes succeed only by turning back."""

import pytest

from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.experiments.training import train


@pytest.mark.long
def test_the_map_agent_learns_to_turn_back(tree_settings, map_config, tmp_path):
    config = MapTrainConfig(
        **{**tree_settings, "batch_size": 8},
        iterations=60,
        max_decisions=11,
        output=tmp_path / "map",
        network=map_config.network,
        optimiser=map_config.optimiser,
        teacher_weight=0.2,
    )
    results = train(config)
    assert results["val_unseen"]["map agent"]["SR"] > 0.75
