"""Conversion of the authors' checkpoints to runs of clipnav pretrain-vl."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertConfig

from clipnav.encoders.weights.loading import load_image_tower
from clipnav.encoders.weights.model_building import check_shapes
from clipnav.encoders.weights.weight_files import read_weights
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_new
from clipnav.training.checkpoints import save_model
from clipnav.training.settings import CONFIG, to_json
from clipnav.vl_tasks.clip_vil_p.building import build_bert, save_description
from clipnav.vl_tasks.clip_vil_p.data.answers import AnswerClasses
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces
from clipnav.vl_tasks.clip_vil_p.networks.network import PretrainingNetwork
from clipnav.vl_tasks.clip_vil_p.networks.stream import SingleStream
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
from clipnav.vl_tasks.settings.networks import TextConfig, TrunkConfig

_RENAMED = (
    (r"^bert\.encoder\.layer\.", "stream.bert.encoder.layer."),
    (r"^bert\.embeddings\.", "stream.bert.embeddings."),
    (r"^bert\.pooler\.dense\.", "stream.pooler."),
    (r"^bert\.encoder\.visn_fc\.visn_fc\.", "stream.visual.project."),
    (r"^bert\.encoder\.visn_fc\.visn_layer_norm\.", "stream.visual.norm."),
    (r"^bert\.encoder\.visual_pos\.x_position_embedding\.", "stream.visual.rows."),
    (r"^bert\.encoder\.visual_pos\.y_position_embedding\.", "stream.visual.columns."),
    (r"^bert\.encoder\.visual_model\.visual\.", "trunk.visual."),
    (r"^cls\.predictions\.transform\.dense\.", "words.transform."),
    (r"^cls\.predictions\.transform\.LayerNorm\.", "words.norm."),
    (r"^cls\.predictions\.bias$", "words.bias"),
    (r"^cls\.seq_relationship\.", "matching."),
    (r"^answer_head\.logit_fc\.", "answers."),
)
# Weights that the model does not use: embedding of boxes; decoder tied to the word embeddings;
# attention pooling, text tower and temperature of CLIP; heads of visual objectives.
_UNUSED = re.compile(
    r"bert\.encoder\.visn_fc\.box_|cls\.predictions\.decoder\.weight$"
    r"|bert\.encoder\.visual_model\.(?!visual\.)|bert\.encoder\.visual_model\.visual\.attnpool\."
    r"|obj_predict_head\.|.*\.position_ids$|.*\.num_batches_tracked$"
)
_HINT = "give the checkpoint, the encoder and the answers of the same model"


def our_names(weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Rename the weights of a checkpoint, without those that the model does not use."""
    renamed = {}
    for name, tensor in weights.items():
        if _UNUSED.match(name):
            continue
        ours = next((re.sub(old, new, name) for old, new in _RENAMED if re.match(old, name)), None)
        if ours is None:
            raise UserError(
                f"{source}: {name!r} is not a weight of CLIP-ViL_p; give a checkpoint of the "
                "pre-training in CLIP-ViL-Pretrain"
            )
        renamed[ours] = tensor
    return renamed


def convert_checkpoint(
    weights: Path, output: Path, encoder: str, bert: str, answers: Path, heads: int = 12
) -> None:
    """Write a checkpoint of the authors as a run of clipnav pretrain-vl."""
    check_new(output)
    source = str(weights)
    original = read_weights(weights)[0]
    renamed = our_names(original, source)
    decoder = original.get("cls.predictions.decoder.weight")
    embeddings = original.get("bert.embeddings.word_embeddings.weight")
    if decoder is not None and embeddings is not None and not torch.equal(decoder, embeddings):
        raise UserError(
            f"{source}: cls.predictions.decoder.weight differs from the word embeddings, to which "
            f"it is tied in CLIP-ViL_p; {_HINT}"
        )
    pieces, classes = WordPieces.of_bert(bert), AnswerClasses.load(answers)
    _check_answers(renamed, classes, answers, source)
    sizes = _bert_config(renamed, heads, source)
    if pieces.size > sizes.vocab_size:
        raise UserError(
            f"{bert}: {pieces.size} word pieces, but {source} has {sizes.vocab_size}; {_HINT}"
        )
    visual, tower = load_image_tower(encoder, random_weights=True)
    positions = len(_weight(renamed, "stream.visual.rows.weight", source))
    trunk = Trunk(visual, faithful=True)
    stream = SingleStream(build_bert(sizes), trunk.channels, positions, faithful=True)
    network = PretrainingNetwork(trunk, stream, len(classes), None)
    # The original saves no counters; frozen statistics do not need them.
    own = network.state_dict().items()
    counters = {name: x for name, x in own if name.endswith("num_batches_tracked")}
    renamed = {**counters, **{name: tensor.float() for name, tensor in renamed.items()}}
    check_shapes(renamed, network, source, _HINT)
    network.load_state_dict(renamed)
    config = _settings(sizes, encoder, positions, output)
    output.mkdir(parents=True, exist_ok=True)
    pieces.save(output)
    classes.save(output)
    save_description(output, stream.bert, tower)
    save_model(output, network, {"word pieces": pieces.digest, "converted from": weights.name})
    write_text(output / CONFIG, to_json(config))


def _weight(weights: Mapping[str, Tensor], name: str, source: str) -> Tensor:
    if name not in weights:
        raise UserError(f"{source}: the weight {name} is missing; {_HINT}")
    return weights[name]


def _check_answers(
    weights: Mapping[str, Tensor], classes: AnswerClasses, answers: Path, source: str
) -> None:
    if "answers.3.bias" in weights and len(weights["answers.3.bias"]) != len(classes):
        raise UserError(
            f"{answers}: {len(classes)} answers, but {source} has "
            f"{len(weights['answers.3.bias'])}; {_HINT}"
        )
    if "answers.3.bias" not in weights:
        raise UserError(
            f"{source}: has no answer head (first stage of the pre-training); convert a checkpoint "
            "of the second stage"
        )


def _bert_config(weights: Mapping[str, Tensor], heads: int, source: str) -> BertConfig:
    """Derive the sizes of the BERT from the shapes of the weights."""
    prefix = "stream.bert."
    pieces, hidden = _weight(weights, f"{prefix}embeddings.word_embeddings.weight", source).shape
    positions = len(_weight(weights, f"{prefix}embeddings.position_embeddings.weight", source))
    dense = f"{prefix}encoder.layer.0.intermediate.dense.weight"
    layers = {name.split(".")[4] for name in weights if name.startswith(f"{prefix}encoder.layer.")}
    if hidden % heads:
        raise UserError(f"{source}: width {hidden} is not divisible by --heads {heads}")
    return BertConfig(
        vocab_size=pieces,
        hidden_size=hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=heads,
        intermediate_size=len(_weight(weights, dense, source)),
        max_position_embeddings=positions,
    )


def _settings(sizes: BertConfig, encoder: str, positions: int, output: Path) -> PretrainVlConfig:
    """Return the settings of the converted run; those of its training are the published ones."""
    text = TextConfig(
        vocabulary_size=sizes.vocab_size,
        hidden_size=sizes.hidden_size,
        layers=sizes.num_hidden_layers,
        heads=sizes.num_attention_heads,
        feed_forward_size=sizes.intermediate_size,
    )
    return PretrainVlConfig(
        preset="converted",
        text=text,
        trunk=TrunkConfig(encoder, positions=positions, standardise=False),
        faithful=True,
        output=output,
    )
