"""Runs made from the published checkpoints of DUET.

Reads the state dictionaries of `map_nav_src/models/vilmodel.py: GlocalTextPathNavCMT` (fine-tuned)
and `pretrain_src/model/pretrain_cmt.py: GlocalTextPathCMTPreTraining`, also with the prefixes of
their training programs. Files are read without running code that they contain.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.transformer.released import (
    Checkpoint,
    Renaming,
    read_released,
    renamed,
    write_run,
)
from clipnav.envs.datasets import dataset_spec
from clipnav.storage.errors import UserError

_WORDS = "text.words.weight"
_TIED = "word_head.decoder.weight"
# Names of the parts that ETPNav has, too.
SHARED_PARTS: tuple[Renaming, ...] = (
    (r"^lang_encoder\.layer\.", "text.layers."),
    (r"^img_embeddings\.img_linear\.", "panorama.features."),
    (r"^img_embeddings\.img_layer_norm\.", "panorama.features_norm."),
    (r"^img_embeddings\.loc_linear\.", "panorama.directions."),
    (r"^img_embeddings\.loc_layer_norm\.", "panorama.directions_norm."),
    (r"^img_embeddings\.nav_type_embedding\.", "panorama.types."),
    (r"^img_embeddings\.layer_norm\.", "panorama.norm."),
    (r"^img_embeddings\.pano_encoder\.norm\.", "panorama.final_norm."),
    (r"^img_embeddings\.pano_encoder\.layers\.", "panorama.layers."),
    (r"^global_encoder\.gmap_pos_embeddings\.0\.", "global_branch.position."),
    (r"^global_encoder\.gmap_pos_embeddings\.1\.", "global_branch.position_norm."),
    (r"^global_encoder\.gmap_step_embeddings\.", "global_branch.steps."),
    (r"^global_encoder\.sprel_linear\.", "global_branch.distance."),
)
_PARTS: tuple[Renaming, ...] = (
    *SHARED_PARTS,
    (r"^img_embeddings\.obj_linear\.", "panorama.objects."),
    (r"^img_embeddings\.obj_layer_norm\.", "panorama.objects_norm."),
    (r"^local_encoder\.vp_pos_embeddings\.0\.", "local_branch.position."),
    (r"^local_encoder\.vp_pos_embeddings\.1\.", "local_branch.position_norm."),
    (r"^(global|local)_encoder\.encoder\.x_layers\.(\d+)\.lang_", r"\1_text.\2.lang_"),
    (r"^(global|local)_encoder\.encoder\.x_layers\.", r"\1_branch.layers."),
    (r"^(global|local)_sap_head\.net\.", r"\1_head.net."),
    (r"^sap_fuse_linear\.net\.", "gate.net."),
    (r"^og_head\.net\.", "object_head.net."),
    (r"^image_classifier\.net\.", "class_head.net."),
    (r"^obj_classifier\.net\.", "object_class_head.net."),
    (r"\.net\.0\.", ".inner."),
    (r"\.net\.2\.", ".norm."),
    (r"\.net\.3\.", ".outer."),
    (r"^mlm_head\.predictions\.transform\.dense\.", "word_head.inner."),
    (r"^mlm_head\.predictions\.transform\.LayerNorm\.", "word_head.norm."),
    (r"^mlm_head\.predictions\.", "word_head."),
)
# Parts of the pre-training model outside its network.
_PRETRAINING_ONLY = (
    "global_text.",
    "local_text.",
    "word_head.",
    "class_head.",
    "object_class_head.",
)


def convert_duet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of DUET to those of `MapTransformer` and of the pre-training parts.

    BERT's table of token types is split into the text's and the panorama's. The decoder of masked
    words, a copy of the word embeddings, is dropped.
    """
    converted = renamed(weights, _PARTS, "panorama.type_embedding")
    decoder = converted.pop(_TIED, None)
    if decoder is not None and not torch.equal(decoder, converted.get(_WORDS, decoder)):
        raise UserError("the decoder of masked words differs from the word embeddings")
    return converted


def _network_weights(converted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the converted weights of the network, without the pre-training parts."""
    return {
        name: tensor for name, tensor in converted.items() if not name.startswith(_PRETRAINING_ONLY)
    }


def convert_duet_run(
    weights: Path, output: Path, config: MapTrainConfig, bert: str, heads: int
) -> None:
    """Write a checkpoint of DUET as a run of a map agent.

    The weights say whether the network reads objects, and how wide these are.
    """
    found = _network_weights(read_released(weights, convert_duet, "DUET"))
    checkpoint = Checkpoint(
        path=weights,
        model=f"DUET for {dataset_spec(config.dataset).label}",
        weights=found,
        features="panorama.features.weight",
        second_type="panorama.type_embedding",
        steps="global_branch.steps.weight",
        panorama_layers="panorama.layers",
        cross_layers="global_branch.layers",
    )
    own_objects = found.get("panorama.objects.weight")
    object_size = None if own_objects is None else own_objects.shape[1]
    if own_objects is None and "object_head.outer.weight" in found:
        object_size = checkpoint.weight(checkpoint.features).shape[1]
    build = partial(MapTransformer, object_size=object_size)
    write_run(checkpoint, output, config, bert, heads, build)
