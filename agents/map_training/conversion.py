"""Runs made from the published checkpoints of DUET."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from agents.acting.environments import feature_metadata, feature_store
from agents.acting.tokenizers import make_tokenizer
from agents.map_transformer.checkpoints import network_weights, read_duet
from agents.map_transformer.model import MapTransformer
from agents.settings import MapTrainConfig, MapTransformerConfig, TextConfig
from agents.transformer.released import load_strictly
from agents.transformer.text import pretrained_text_encoder
from storage import write_text
from training.checkpoints import VOCABULARY, save_model
from training.settings import CONFIG, to_json

_REMEDY = "give a checkpoint of DUET for R2R or R4R, and the BERT with which it was trained"
# Names of the text encoder of `MapTransformer`, and those of transformers' BertModel.
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


def convert_run(weights: Path, output: Path, config: MapTrainConfig, bert: str, heads: int) -> None:
    """Write a published checkpoint as a run of a map agent.

    The text encoder becomes a model of transformers, so that the run reads word pieces of BERT.

    Args:
        weights: Checkpoint of the fine-tuning, or of the pre-training, whose heads are dropped.
        output: Folder to write.
        config: Settings of a map agent on the data of the checkpoint; its network is replaced.
        bert: Folder or name of the BERT whose word pieces the checkpoint reads.
        heads: Number of attention heads, which the weights do not determine.

    Raises:
        FileNotFoundError: The checkpoint, data or features do not exist.
        FileExistsError: The folder already contains a run.
        ValueError: The file contains more than tensors, or a weight is missing, unknown or of
            another shape; names it.
        ConnectionError: BERT cannot be downloaded.
    """
    if (output / CONFIG).exists():
        raise FileExistsError(f"{output}: already contains a run; choose another --output")
    source = str(weights)
    published = network_weights(read_duet(weights))
    network = replace(_sizes(published, heads, source), revisits=config.network.revisits)
    config = replace(
        config,
        output=output,
        text=TextConfig(tokens="pretrained", model=bert, tune=True),
        network=replace(network, text_model=bert, text_model_layers=network.text_layers),
    )
    tokenizer, store = make_tokenizer(config), feature_store(config)
    width = _of(published, "panorama.features.weight", source).shape[1]
    if store.width != width:
        raise ValueError(
            f"{source} reads features of width {width}, but the store has width {store.width}; "
            "extract the features with the encoder of the checkpoint"
        )
    text = pretrained_text_encoder(config.network)
    model = MapTransformer(config.network, len(tokenizer), width, text)
    own = model.state_dict()
    pooler = {name: own[name] for name in own if name.startswith("text.model.pooler.")}
    load_strictly(model, pooler | _with_bert(published, source), source)
    output.mkdir(parents=True, exist_ok=True)
    tokenizer.save(output / VOCABULARY)
    save_model(output, model, {**feature_metadata(config), "converted from": weights.name})
    write_text(output / CONFIG, to_json(config))


def _sizes(weights: Mapping[str, Tensor], heads: int, source: str) -> MapTransformerConfig:
    """Return the sizes of a network from its weights."""
    feed_forward, width = _of(weights, "text.layers.0.feed_forward.inner.weight", source).shape
    if width % heads:
        raise ValueError(f"--heads {heads}: must divide the width {width} of {source}")
    return MapTransformerConfig(
        hidden_size=width,
        heads=heads,
        feed_forward_size=feed_forward,
        text_layers=_count(weights, "text.layers"),
        panorama_layers=_count(weights, "panorama.layers"),
        cross_layers=_count(weights, "global_branch.layers"),
        max_steps=len(_of(weights, "global_branch.steps.weight", source)),
    )


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of layers whose names start with a prefix and a number."""
    names = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in weights)
    return len({match[1] for match in names if match})


def _with_bert(weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Rename the text encoder to that of transformers; BERT's table of token types is whole."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        new = name
        if name.startswith("text."):
            for pattern, replacement in _TO_BERT:
                new = re.sub(pattern, replacement, new)
        renamed[new] = tensor
    first = renamed.pop("text.type_embedding", None)
    second = _of(weights, "panorama.type_embedding", source)
    if first is None:
        raise ValueError(f"{source}: the weight text.type_embedding is missing; {_REMEDY}")
    types = first.new_zeros(2, len(first))
    types[0], types[1] = first, second
    return {**renamed, "text.model.embeddings.token_type_embeddings.weight": types}


def _of(weights: Mapping[str, Tensor], name: str, source: str) -> Tensor:
    if name not in weights:
        raise ValueError(f"{source}: the weight {name} is missing; {_REMEDY}")
    return weights[name]
