"""Weights of other models for ETPNav: its published checkpoints, and runs of map agents.

Reads the state dictionaries of `vlnce_baselines/models/etp/vilmodel_cmt.py: GlocalTextPathNavCMT`
(ETPNav 8dec13a), with the prefixes of the training programs, and of its pre-training. Files are
read without running code that they contain.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from clipnav.agents.duet.conversion import SHARED_PARTS
from clipnav.agents.etpnav.network import EtpNavNetwork
from clipnav.agents.etpnav.settings import EtpNavNetworkConfig, EtpNavTrainConfig
from clipnav.agents.etpnav.task import EtpNavTask
from clipnav.agents.transformer.released import (
    Checkpoint,
    Features,
    Renaming,
    read_released,
    renamed,
    write_run,
)
from clipnav.agents.transformer.text import PretrainedTextEncoder

_PARTS: tuple[Renaming, ...] = (
    *SHARED_PARTS,
    (r"^img_embeddings\.dep_linear\.", "panorama.depth."),
    (r"^img_embeddings\.dep_layer_norm\.", "panorama.depth_norm."),
    (r"^global_encoder\.encoder\.x_layers\.(\d+)\.lang_", r"global_text.\1.lang_"),
    (r"^global_encoder\.encoder\.x_layers\.", "global_branch.layers."),
    (r"^global_sap_head\.net\.0\.", "head.inner."),
    (r"^global_sap_head\.net\.2\.", "head.norm."),
    (r"^global_sap_head\.net\.[34]\.", "head.outer."),
)
# Part of the names of the transformer's weights in checkpoints of the training.
_AGENT = "vln_bert."
# Weights of the pre-training outside the network, and of layers that do not compute anything.
_UNUSED = ("mlm_head.", "global_text.", "image_classifier.")


def convert_etpnav(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of ETPNav to those of `EtpNavNetwork`.

    A checkpoint of the training also contains its encoders of pictures, which are left out. BERT's
    table of token types is split into the text's and the panorama's.
    """
    inner = {n.rpartition(_AGENT)[2]: w for n, w in weights.items() if _AGENT in n}
    converted = renamed(inner or weights, _PARTS, "panorama.type_embedding")
    return {name: one for name, one in converted.items() if not name.startswith(_UNUSED)}


def convert_etpnav_run(
    weights: Path, output: Path, config: EtpNavTrainConfig, bert: str, heads: int
) -> None:
    """Write a checkpoint of ETPNav as a run; its settings name encoder and predictor."""
    checkpoint = Checkpoint(
        path=weights,
        model="ETPNav for R2R-CE",
        weights=read_released(weights, convert_etpnav, "ETPNav"),
        features="panorama.features.weight",
        second_type="panorama.type_embedding",
        steps="global_branch.steps.weight",
        panorama_layers="panorama.layers",
        cross_layers="global_branch.layers",
    )
    no_tokenizer: Any = None  # pictures require none
    task = EtpNavTask(config, no_tokenizer)

    def features(_: EtpNavTrainConfig) -> Features:
        return Features(task.surroundings.colour_size, f"--encoder {config.encoder}", task.metadata)

    def build(
        network: EtpNavNetworkConfig, words: int, width: int, text: PretrainedTextEncoder
    ) -> EtpNavNetwork:
        return EtpNavNetwork(network, words, width, task.surroundings.depth_size, text)

    write_run(checkpoint, output, config, bert, heads, build, features)
