"""Released weights of transformers: new names, strict loading, and runs made from them.

The tables of names are those of the parts that DUET and HAMT have in common: BERT, and LXMERT's
cross-modal layers.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from clipnav.agents.acting.environments import feature_metadata, feature_store
from clipnav.agents.acting.tokenizers import make_tokenizer
from clipnav.agents.settings import TextConfig
from clipnav.agents.transformer.settings import TransformerAgentConfig
from clipnav.agents.transformer.text import (
    PretrainedTextEncoder,
    TransformerNetwork,
    pretrained_text_encoder,
)
from clipnav.encoders.weights.weight_files import read_weights
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_new
from clipnav.training.checkpoints import VOCABULARY, save_model
from clipnav.training.settings import CONFIG, to_json

Renaming = tuple[str, str]  # regular expression of a name without prefix, and its replacement

# Names of nested entries around the weights of an agent, in files of the fine-tuning programs.
_ENTRIES = ("vln_bert", "state_dict")
# Prefixes of DistributedDataParallel, of the agent, and of the pre-training model.
_PREFIXES = re.compile(r"^(?:(?:module|vln_bert|bert)\.)+")
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
# Builds a network from its settings, the number of token ids, the width of the features, and the
# text encoder.
Build = Callable[[Any, int, int, PretrainedTextEncoder], TransformerNetwork]
# Names of the text encoder of our networks, and those of transformers' BertModel.
_TO_BERT = (
    (r"^text\.words\.", "text.model.embeddings.word_embeddings."),
    (r"^text\.positions\.", "text.model.embeddings.position_embeddings."),
    (r"^text\.norm\.", "text.model.embeddings.LayerNorm."),
    (r"^text\.layers\.", "text.model.encoder.layer."),
    (r"\.attention\.(query|key|value)\.", r".attention.self.\1."),
    (r"\.attention\.output\.", ".attention.output.dense."),
    (r"\.attention\.norm\.", ".attention.output.LayerNorm."),
    (r"\.feed_forward\.inner\.", ".intermediate.dense."),
    (r"\.feed_forward\.outer\.", ".output.dense."),
    (r"\.feed_forward\.norm\.", ".output.LayerNorm."),
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
        name = _PREFIXES.sub("", old)
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


def read_released(
    path: str | Path, convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]], model: str
) -> dict[str, Tensor]:
    """Read a released file without running its code, and convert the names of its weights."""
    weights, _ = read_weights(Path(path), entries=_ENTRIES)
    try:
        return convert(weights)
    except ValueError as error:
        raise UserError(f"{path}: {error}; give a checkpoint of {model}") from error


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


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint.

    Attributes:
        model: Name of the model and its datasets, for messages.
        features: Name of the projection of the visual features.
        second_type: Name of the embedding of token type 1.
        panorama_layers: Prefix of the layers of the panorama encoder.
    """

    path: Path
    model: str
    weights: Mapping[str, Tensor]
    features: str
    second_type: str
    steps: str
    panorama_layers: str
    cross_layers: str

    def weight(self, name: str) -> Tensor:
        """Return a weight."""
        if name not in self.weights:
            raise UserError(
                f"{self.path}: the weight {name} is missing; give a checkpoint of {self.model}, "
                "and the BERT with which it was trained"
            )
        return self.weights[name]

    def sizes(self, heads: int) -> dict[str, int]:
        """Return the sizes of the network as settings of a `TransformerConfig`."""
        feed_forward, width = self.weight("text.layers.0.feed_forward.inner.weight").shape
        if width % heads:
            raise UserError(f"--heads {heads}: must divide the width {width} of {self.path}")
        return {
            "hidden_size": width,
            "heads": heads,
            "feed_forward_size": feed_forward,
            "text_layers": self._count("text.layers"),
            "panorama_layers": self._count(self.panorama_layers),
            "cross_layers": self._count(self.cross_layers),
            "max_steps": len(self.weight(self.steps)),
        }

    def with_bert(self) -> dict[str, Tensor]:
        """Return the weights, those of the text encoder under the names of transformers.

        BERT's table of token types is whole.
        """
        renamed: dict[str, Tensor] = {}
        for name, tensor in self.weights.items():
            new = name
            if name.startswith("text."):
                for pattern, replacement in _TO_BERT:
                    new = re.sub(pattern, replacement, new)
            renamed[new] = tensor
        first, second = self.weight("text.type_embedding"), self.weight(self.second_type)
        renamed.pop("text.type_embedding")
        types = first.new_zeros(2, len(first))
        types[0], types[1] = first, second
        return {**renamed, "text.model.embeddings.token_type_embeddings.weight": types}

    def _count(self, prefix: str) -> int:
        """Return the number of layers whose names start with a prefix and a number."""
        names = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in self.weights)
        return len({match[1] for match in names if match})


class Features(NamedTuple):
    """Visual features that an agent reads: their width, where they are from, and metadata."""

    width: int
    source: str
    metadata: Mapping[str, str]


def _stored_features(config: TransformerAgentConfig) -> Features:
    """Return the features of the store of a run."""
    store = feature_store(config)
    return Features(store.width, "the store", feature_metadata(config))


def write_run(
    checkpoint: Checkpoint,
    output: Path,
    config: TransformerAgentConfig,
    bert: str,
    heads: int,
    build: Build,
    read_features: Callable[[Any], Features] = _stored_features,
) -> None:
    """Write a published checkpoint as a run.

    The text encoder becomes a model of transformers, so that the run reads word pieces of BERT.

    Args:
        config: Settings of an agent on the data of the checkpoint; the sizes of its network are
            replaced.
        read_features: Function of the settings that returns the features of the run.
    """
    check_new(output)
    sizes = checkpoint.sizes(heads)
    bert_layers = {"text_model": bert, "text_model_layers": sizes["text_layers"]}
    config = replace(
        config,
        output=output,
        text=TextConfig(tokens="pretrained", model=bert, tune=True),
        network=replace(config.network, **sizes, **bert_layers),
    )
    tokenizer, features = make_tokenizer(config), read_features(config)
    width = checkpoint.weight(checkpoint.features).shape[1]
    if features.width != width:
        raise UserError(
            f"{checkpoint.path} reads features of width {width}, but {features.source} has width "
            f"{features.width}; extract the features with the encoder of the checkpoint"
        )
    model = build(config.network, len(tokenizer), width, pretrained_text_encoder(config.network))
    own = model.state_dict()
    pooler = {name: own[name] for name in own if name.startswith("text.model.pooler.")}
    load_strictly(model, pooler | checkpoint.with_bert(), str(checkpoint.path))
    output.mkdir(parents=True, exist_ok=True)
    tokenizer.save(output / VOCABULARY)
    metadata = {**features.metadata, "converted from": checkpoint.path.name}
    save_model(output, model, metadata)
    write_text(output / CONFIG, to_json(config))
