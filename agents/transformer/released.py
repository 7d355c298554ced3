"""Released weights of transformers: safe reading, new names, and strict loading.

Files are read without running code that they contain. The tables of names are those of the parts
that DUET and HAMT have in common: BERT, and LXMERT's cross-modal layers.
"""

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from storage.errors import UserError

Renaming = tuple[str, str]  # regular expression of a name without prefix, and its replacement

# Prefixes of DistributedDataParallel, of the agent, and of the pre-training model.
_PREFIXES = ("module.", "vln_bert.", "bert.")
# Buffers without information.
_IGNORED = re.compile(r"embeddings\.position_ids$")
_TYPES = "embeddings.token_type_embeddings.weight"
_EMBEDDINGS: tuple[Renaming, ...] = (
    (r"^embeddings\.word_embeddings\.", "text.words."),
    (r"^embeddings\.position_embeddings\.", "text.positions."),
    (r"^embeddings\.LayerNorm\.", "text.norm."),
)
_LAYERS: tuple[Renaming, ...] = (
    (r"\.visual_attention\.", ".cross."),
    (r"\.visn_self_att\.", ".visual.attention."),
    (r"\.visn_inter\.dense\.", ".visual.feed_forward.inner."),
    (r"\.visn_output\.dense\.", ".visual.feed_forward.outer."),
    (r"\.visn_output\.LayerNorm\.", ".visual.feed_forward.norm."),
    (r"\.lang_self_att\.", ".attention."),
    (r"\.lang_inter\.dense\.", ".feed_forward.inner."),
    (r"\.lang_output\.dense\.", ".feed_forward.outer."),
    (r"\.lang_output\.LayerNorm\.", ".feed_forward.norm."),
    (r"\.intermediate\.dense\.", ".feed_forward.inner."),
    (r"^(\w+\.layers\.\d+)\.output\.dense\.", r"\1.feed_forward.outer."),
    (r"^(\w+\.layers\.\d+)\.output\.LayerNorm\.", r"\1.feed_forward.norm."),
    (r"\.(?:self|att)\.(query|key|value)\.", r".\1."),
    (r"\.output\.dense\.", ".output."),
    (r"\.output\.LayerNorm\.", ".norm."),
)


def renamed(
    weights: Mapping[str, Tensor], parts: Iterable[Renaming], second_type: str
) -> dict[str, Tensor]:
    """Rename released weights.

    BERT's table of token types is split: its first row is the text's.

    Args:
        weights: State dictionary, possibly with the prefixes of training programs.
        parts: Renamings of the parts that only one model has, applied before those of the layers.
        second_type: New name of the second row of the table of token types.

    Raises:
        UserError: Two names collide.
    """
    table = (*_EMBEDDINGS, *parts, *_LAYERS)
    converted: dict[str, Tensor] = {}
    for old, tensor in weights.items():
        name = _without_prefix(old)
        if _IGNORED.search(name):
            continue
        found = {name: tensor}
        if name == _TYPES:
            found = {"text.type_embedding": tensor[0], second_type: tensor[1]}
        for key, part in found.items():
            new = key
            for pattern, replacement in table:
                new = re.sub(pattern, replacement, new)
            if new in converted:
                raise UserError(f"two weights have the name {new}; the file mixes models")
            converted[new] = part
    return converted


def load_strictly(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load weights that must fit a model exactly.

    Args:
        model: Model to load into.
        weights: Weights by the names of the model.
        source: File or description for messages.

    Raises:
        UserError: Weights are missing, superfluous, or of another shape.
    """
    own = model.state_dict()
    problems = [f"{name} is missing" for name in own.keys() - weights.keys()]
    problems += [f"{name} is not a weight of this model" for name in weights.keys() - own.keys()]
    for name in own.keys() & weights.keys():
        ours, theirs = tuple(own[name].shape), tuple(weights[name].shape)
        if ours != theirs:
            problems.append(f"{name} has shape {theirs} instead of {ours}")
    if problems:
        raise UserError(
            f"{source}: {len(problems)} weights do not fit the settings, the first: "
            f"{min(problems)}; use the settings of the published model"
        )
    model.load_state_dict(dict(weights))


def read_state(path: str | Path, model: str) -> dict[str, Tensor]:
    """Read the state dictionary of a released file.

    A file of a fine-tuning program contains the state dictionary of the agent under "vln_bert" and
    "state_dict".

    Args:
        path: File of torch or safetensors.
        model: Name of the released model, for messages.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file is damaged, or is not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file does not exist; give a checkpoint of {model}")
    weights = _read(path)
    if isinstance(weights, dict) and isinstance(weights.get("vln_bert"), dict):
        weights = weights["vln_bert"].get("state_dict")
    tensors = isinstance(weights, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    )
    if not tensors or not weights:
        raise UserError(f"{path}: not a state dictionary; give a checkpoint of {model}")
    return weights


def _read(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Only tensors and plain containers; other pickled objects are refused, not run.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch also warns of files that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: contains objects other than tensors, which are not loaded; save its state "
            "dictionary again"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, KeyError, OSError, ValueError) as error:
        raise UserError(f"{path}: damaged, or not a file of weights; copy it again") from error


def _without_prefix(name: str) -> str:
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, stripped = name.removeprefix(prefix), True
    return name
