"""Released weights of transformers: new names, and strict loading.

The tables of names are those of the parts that DUET and HAMT have in common: BERT, and LXMERT's
cross-modal layers.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from clipnav.storage.errors import UserError

Renaming = tuple[str, str]  # regular expression of a name without prefix, and its replacement

# Names of nested entries around the weights of an agent, in files of the fine-tuning programs.
ENTRIES = ("vln_bert", "state_dict")
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
    """Load weights that must fit a model exactly."""
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


def _without_prefix(name: str) -> str:
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name, stripped = name.removeprefix(prefix), True
    return name
