"""Published weights of DUET under the names of this package.

Reads the state dictionaries of `map_nav_src/models/vilmodel.py: GlocalTextPathNavCMT` (fine-tuned)
and `pretrain_src/model/pretrain_cmt.py: GlocalTextPathCMTPreTraining`, also with the prefixes of
their training programs. Files are read without running code that they contain.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# Prefixes of DistributedDataParallel, of the agent, and of the pre-training model.
_PREFIXES = ("module.", "vln_bert.", "bert.")
# Buffers without information.
_IGNORED = re.compile(r"embeddings\.position_ids$")
_TYPES = "embeddings.token_type_embeddings.weight"
_WORDS = "text.words.weight"
_TIED = "word_head.decoder.weight"
# Regular expressions of names without prefix, and the new names.
_ATTENTION = (
    (r"\.(?:self|att)\.(query|key|value)\.", r".\1."),
    (r"\.output\.dense\.", ".output."),
    (r"\.output\.LayerNorm\.", ".norm."),
)
_PARTS = (
    (r"^embeddings\.word_embeddings\.", "text.words."),
    (r"^embeddings\.position_embeddings\.", "text.positions."),
    (r"^embeddings\.LayerNorm\.", "text.norm."),
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
    (r"^local_encoder\.vp_pos_embeddings\.0\.", "local_branch.position."),
    (r"^local_encoder\.vp_pos_embeddings\.1\.", "local_branch.position_norm."),
    (r"^(global|local)_encoder\.encoder\.x_layers\.(\d+)\.lang_", r"\1_text.\2.lang_"),
    (r"^(global|local)_encoder\.encoder\.x_layers\.", r"\1_branch.layers."),
    (r"\.visual_attention\.", ".cross."),
    (r"\.visn_self_att\.", ".visual.attention."),
    (r"\.visn_inter\.dense\.", ".visual.feed_forward.inner."),
    (r"\.visn_output\.dense\.", ".visual.feed_forward.outer."),
    (r"\.visn_output\.LayerNorm\.", ".visual.feed_forward.norm."),
    (r"\.lang_self_att\.", ".attention."),
    (r"\.lang_inter\.dense\.", ".feed_forward.inner."),
    (r"\.lang_output\.dense\.", ".feed_forward.outer."),
    (r"\.lang_output\.LayerNorm\.", ".feed_forward.norm."),
    (r"^(global|local)_sap_head\.net\.", r"\1_head.net."),
    (r"^sap_fuse_linear\.net\.", "gate.net."),
    (r"^image_classifier\.net\.", "class_head.net."),
    (r"\.net\.0\.", ".inner."),
    (r"\.net\.2\.", ".norm."),
    (r"\.net\.3\.", ".outer."),
    (r"^mlm_head\.predictions\.transform\.dense\.", "word_head.inner."),
    (r"^mlm_head\.predictions\.transform\.LayerNorm\.", "word_head.norm."),
    (r"^mlm_head\.predictions\.", "word_head."),
)
_TEXT_LAYER = (
    (r"\.intermediate\.dense\.", ".feed_forward.inner."),
    (r"^(text\.layers\.\d+)\.output\.dense\.", r"\1.feed_forward.outer."),
    (r"^(text\.layers\.\d+)\.output\.LayerNorm\.", r"\1.feed_forward.norm."),
)
# Parts of the pre-training model outside its network.
_PRETRAINING_ONLY = ("global_text.", "local_text.", "word_head.", "class_head.")


def convert_duet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of DUET to those of `MapTransformer` and of the pre-training parts.

    BERT's table of token types is split into the text's and the panorama's. The decoder of masked
    words, a copy of the word embeddings, is dropped.

    Args:
        weights: State dictionary of the fine-tuned or of the pre-training model.

    Returns:
        Weights of `MapTransformer`, and those of `PretrainingModel` outside its network.

    Raises:
        ValueError: Two names collide, or the decoder differs from the word embeddings.
    """
    converted: dict[str, Tensor] = {}
    for old, tensor in weights.items():
        name = _without_prefix(old)
        if _IGNORED.search(name):
            continue
        if name == _TYPES:
            parts = {"text.type_embedding": tensor[0], "panorama.type_embedding": tensor[1]}
        else:
            parts = {_renamed(name): tensor}
        for new, part in parts.items():
            if new in converted:
                raise ValueError(f"two weights have the name {new}; the file mixes models")
            converted[new] = part
    decoder = converted.pop(_TIED, None)
    if decoder is not None and not torch.equal(decoder, converted.get(_WORDS, decoder)):
        raise ValueError("the decoder of masked words differs from the word embeddings")
    return converted


def network_weights(converted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the converted weights of the network, without the pre-training parts."""
    return {
        name: tensor for name, tensor in converted.items() if not name.startswith(_PRETRAINING_ONLY)
    }


def pretraining_weights(converted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the converted weights under the names of `PretrainingModel`."""
    return {
        name if name.startswith(_PRETRAINING_ONLY) else f"network.{name}": tensor
        for name, tensor in converted.items()
    }


def load_strictly(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load weights that must fit a model exactly.

    Args:
        model: Model to load into.
        weights: Weights by the names of the model.
        source: File or description for messages.

    Raises:
        ValueError: Weights are missing, superfluous, or of another shape.
    """
    own = model.state_dict()
    problems = [f"{name} is missing" for name in own.keys() - weights.keys()]
    problems += [f"{name} is not a weight of this model" for name in weights.keys() - own.keys()]
    for name in own.keys() & weights.keys():
        ours, theirs = tuple(own[name].shape), tuple(weights[name].shape)
        if ours != theirs:
            problems.append(f"{name} has shape {theirs} instead of {ours}")
    if problems:
        raise ValueError(
            f"{source}: {len(problems)} weights do not fit the settings, the first: "
            f"{min(problems)}; use the settings of the published model"
        )
    model.load_state_dict(dict(weights))


def read_duet(path: str | Path) -> dict[str, Tensor]:
    """Read and convert a published file, see `convert_duet`.

    A file of the fine-tuning program contains the state dictionary of the agent under "vln_bert"
    and "state_dict".

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is damaged, or is not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file does not exist; give a checkpoint of DUET")
    weights = _read(path)
    if isinstance(weights, dict) and isinstance(weights.get("vln_bert"), dict):
        weights = weights["vln_bert"].get("state_dict")
    tensors = isinstance(weights, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    )
    if not tensors or not weights:
        raise ValueError(f"{path}: not a state dictionary; give a checkpoint of DUET")
    try:
        return convert_duet(weights)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; give a checkpoint of DUET") from error


def _read(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Only tensors and plain containers; other pickled objects are refused, not run.
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: contains objects other than tensors, which are not loaded; save its state "
            "dictionary again"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path}: damaged, or not a file of weights; copy it again") from error


def _without_prefix(name: str) -> str:
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, stripped = name.removeprefix(prefix), True
    return name


def _renamed(name: str) -> str:
    for old, new in (*_PARTS, *_TEXT_LAYER, *_ATTENTION):
        name = re.sub(old, new, name)
    return name
