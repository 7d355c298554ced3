"""Runs made from published checkpoints of agents with transformers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from clipnav.agents.acting.environments import feature_metadata, feature_store
from clipnav.agents.acting.tokenizers import make_tokenizer
from clipnav.agents.settings import TextConfig
from clipnav.agents.transformer.network import TransformerNetwork
from clipnav.agents.transformer.released import load_strictly
from clipnav.agents.transformer.settings import TransformerAgentConfig
from clipnav.agents.transformer.text import PretrainedTextEncoder, pretrained_text_encoder
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_new
from clipnav.training.checkpoints import VOCABULARY, save_model
from clipnav.training.settings import CONFIG, to_json

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


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint.

    Attributes:
        path: File.
        model: Name of the model and its datasets, for messages.
        weights: Weights under the names of our network.
        features: Name of the projection of the visual features.
        second_type: Name of the embedding of token type 1.
        steps: Name of the table of steps.
        panorama_layers: Prefix of the layers of the panorama encoder.
        cross_layers: Prefix of the cross-modal layers.
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


def write_run(
    checkpoint: Checkpoint,
    output: Path,
    config: TransformerAgentConfig,
    bert: str,
    heads: int,
    build: Build,
) -> None:
    """Write a published checkpoint as a run.

    The text encoder becomes a model of transformers, so that the run reads word pieces of BERT.

    Args:
        config: Settings of an agent on the data of the checkpoint; the sizes of its network are
            replaced.
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
    tokenizer, store = make_tokenizer(config), feature_store(config)
    width = checkpoint.weight(checkpoint.features).shape[1]
    if store.width != width:
        raise UserError(
            f"{checkpoint.path} reads features of width {width}, but the store has width "
            f"{store.width}; extract the features with the encoder of the checkpoint"
        )
    model = build(config.network, len(tokenizer), width, pretrained_text_encoder(config.network))
    own = model.state_dict()
    pooler = {name: own[name] for name in own if name.startswith("text.model.pooler.")}
    load_strictly(model, pooler | checkpoint.with_bert(), str(checkpoint.path))
    output.mkdir(parents=True, exist_ok=True)
    tokenizer.save(output / VOCABULARY)
    metadata = {**feature_metadata(config), "converted from": checkpoint.path.name}
    save_model(output, model, metadata)
    write_text(output / CONFIG, to_json(config))
