"""Runs made from the published checkpoints of HAMT."""

from dataclasses import replace
from pathlib import Path

from clipnav.agents.hamt.checkpoints import read_hamt
from clipnav.agents.hamt.model import HistoryTransformer
from clipnav.agents.hamt.settings import HistoryTrainConfig, HistoryTransformerConfig
from clipnav.agents.transformer.released_runs import Checkpoint, write_run
from clipnav.agents.transformer.text import PretrainedTextEncoder


def convert_hamt_run(
    weights: Path, output: Path, config: HistoryTrainConfig, bert: str, heads: int
) -> None:
    """Write a checkpoint of HAMT as a run; its critic is dropped."""
    checkpoint = Checkpoint(
        path=weights,
        model="HAMT for R2R or R4R",
        weights=read_hamt(weights),
        features="observation.view.features.weight",
        second_type="observation.type_embedding",
        steps="history.numbers.weight",
        panorama_layers="history.layers",
        cross_layers="layers",
    )
    angle = checkpoint.weight("observation.view.angles.weight").shape[1]

    def build(
        network: HistoryTransformerConfig, words: int, width: int, text: PretrainedTextEncoder
    ) -> HistoryTransformer:
        return HistoryTransformer(network, words, width, angle, text)

    write_run(checkpoint, output, replace(config, angle_feature_size=angle), bert, heads, build)
