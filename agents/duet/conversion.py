"""Runs made from the published checkpoints of DUET."""

from pathlib import Path

from clipnav.agents.duet.checkpoints import network_weights, read_duet
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.transformer.released_runs import Checkpoint, write_run


def convert_duet_run(
    weights: Path, output: Path, config: MapTrainConfig, bert: str, heads: int
) -> None:
    """Write a checkpoint of DUET as a run of a map agent."""
    checkpoint = Checkpoint(
        path=weights,
        model="DUET for R2R or R4R",
        weights=network_weights(read_duet(weights)),
        features="panorama.features.weight",
        second_type="panorama.type_embedding",
        steps="global_branch.steps.weight",
        panorama_layers="panorama.layers",
        cross_layers="global_branch.layers",
    )
    write_run(checkpoint, output, config, bert, heads, MapTransformer)
