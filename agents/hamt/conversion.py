"""Runs made from the published checkpoints of HAMT.

Reads the state dictionaries of `finetune_src/models/vilmodel_cmt.py: NavCMT`, also with the
prefixes of the training programs.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from clipnav.agents.hamt.model import HistoryTransformer
from clipnav.agents.hamt.settings import HistoryTrainConfig, HistoryTransformerConfig
from clipnav.agents.transformer.released import (
    Checkpoint,
    Renaming,
    read_released,
    renamed,
    write_run,
)
from clipnav.agents.transformer.text import PretrainedTextEncoder
from clipnav.envs.datasets import dataset_spec

_PARTS: tuple[Renaming, ...] = (
    (r"^encoder\.layer\.", "text.layers."),
    (r"^encoder\.x_layers\.(\d+)\.lang_", r"layers.\1.language.lang_"),
    (r"^encoder\.x_layers\.", "layers."),
    (r"^hist_embeddings\.cls_token$", "history.start"),
    (r"^hist_embeddings\.type_embedding\.weight$", "history.type_embedding"),
    (r"^hist_embeddings\.position_embeddings\.", "history.numbers."),
    (r"^hist_embeddings\.pano_encoder\.layer\.", "history.layers."),
    (r"^hist_embeddings\.pano_(?=img|ang)", "history.panorama."),
    (r"^hist_embeddings\.(?=img|ang)", "history.view."),
    (r"^img_embeddings\.(?=img|ang)", "observation.view."),
    (r"\.img_linear\.", ".features."),
    (r"\.img_layer_norm\.", ".features_norm."),
    (r"\.ang_linear\.", ".angles."),
    (r"\.ang_layer_norm\.", ".angles_norm."),
    (r"^img_embeddings\.nav_type_embedding\.", "observation.types."),
    (r"^img_embeddings\.layer_norm\.", "observation.norm."),
    (r"^hist_embeddings\.layer_norm\.", "history.norm."),
    (r"^next_action\.net\.0\.", "head.inner."),
    (r"^next_action\.net\.2\.", "head.norm."),
    (r"^next_action\.net\.4\.", "head.outer."),
)


def convert_hamt(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of HAMT to those of `HistoryTransformer`."""
    converted = renamed(weights, _PARTS, "observation.type_embedding")
    # A table with one row, and a token with leading axes.
    for name in ("history.start", "history.type_embedding"):
        if name in converted:
            converted[name] = converted[name].flatten()
    return converted


def convert_hamt_run(
    weights: Path, output: Path, config: HistoryTrainConfig, bert: str, heads: int
) -> None:
    """Write a checkpoint of HAMT as a run; its critic is dropped."""
    checkpoint = Checkpoint(
        path=weights,
        model=f"HAMT for {dataset_spec(config.dataset).label}",
        weights=read_released(weights, convert_hamt, "HAMT"),
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
