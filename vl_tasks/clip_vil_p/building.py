"""Networks of pre-training: new ones, and those of a run.

transformers is imported when a BERT is built, because models without one import this module, too,
and transformers takes as long to import as all the rest.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from clipnav.encoders.weights.loading import build_image_tower, load_image_tower
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.hugging_face import load_text_model
from clipnav.storage.json_files import read_json_object
from clipnav.training.checkpoints import load_model
from clipnav.training.settings import read_config
from clipnav.vl_tasks.clip_vil_p.data.answers import AnswerClasses
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import exact_batches
from clipnav.vl_tasks.clip_vil_p.data.pictures import image_size, read_prepared, stack
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces
from clipnav.vl_tasks.clip_vil_p.networks.network import (
    PretrainingNetwork,
    deviation,
    initialise,
    initialise_from_answers,
)
from clipnav.vl_tasks.clip_vil_p.networks.stream import JointStream, SingleStream
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
from clipnav.vl_tasks.settings.networks import TextConfig

if TYPE_CHECKING:
    from transformers import BertConfig, BertModel


BERT = "bert.json"  # within the folder of a run
_POSITIONS = 512  # of a new BERT
TRUNK = "trunk.json"  # within the folder of a run: configuration of the image tower
_HINT = "train the run again"


def make_network(
    config: PretrainVlConfig, pieces: WordPieces, answers: int
) -> tuple[PretrainingNetwork, dict[str, Any]]:
    """Build the network of a new run."""
    chosen = config.trunk
    visual, description = load_image_tower(chosen.encoder, chosen.pretrained, chosen.random_weights)
    bert = _make_bert(config.text, pieces.size)
    return _assemble(config, visual, bert, answers), description


def new_word_pieces(config: PretrainVlConfig, texts: Iterable[str]) -> WordPieces:
    """Load the word pieces of a BERT, or learn them from the training sentences."""
    if config.text.bert is not None:
        return WordPieces.of_bert(config.text.bert)
    keeps_accents = config.model == "multilingual"
    return WordPieces.learn(texts, config.text.vocabulary_size, keeps_accents)


def standardise(
    trunk: Trunk, stream: SingleStream, paths: Sequence[Path], config: PretrainVlConfig, device: str
) -> None:
    """Fit the projection of grid features of a new network to images; see `VisualEmbedding`."""
    framing = config.framing
    portrait = np.array([framing.is_portrait(*image_size(path)) for path in paths], bool)
    trunk.eval()
    cells = []
    with torch.inference_mode():
        for part in exact_batches(portrait, config.batch_size):
            pictures = stack([read_prepared(paths[k], framing) for k in part])
            grid, mask = trunk(pictures.to(device))
            cells.append(grid[mask].float())
    stream.visual.standardise(torch.cat(cells).clone())


def load_run(run: Path) -> tuple[PretrainVlConfig, PretrainingNetwork, WordPieces, AnswerClasses]:
    """Load the network of a run of clipnav pretrain-vl with its weights.

    Returns:
        Settings, network in evaluation mode, word pieces and answers of the run.

    Raises:
        FileNotFoundError: The folder is not a run, or a file is missing.
        UserError: A file is damaged, or of another version.
    """
    config = read_config(run, PretrainVlConfig)
    pieces = WordPieces.load(run)
    answers = AnswerClasses.of_run(run)
    network = build_network(config, run, len(answers))
    load_model(run, network, {"word pieces": pieces.digest})
    return config, network.eval(), pieces, answers


def build_network(config: PretrainVlConfig, run: Path, answers: int) -> PretrainingNetwork:
    """Build the network of a run with random weights; see `load_run`."""
    description = read_json_object(run / TRUNK, _HINT)
    visual = build_image_tower(description, str(run / TRUNK))
    return _assemble(config, visual, _bert_of_run(run), answers)


def save_description(run: Path, bert: "BertModel", tower: dict[str, Any]) -> None:
    """Write the configurations of BERT and image tower into the folder of a run."""
    write_text(run / TRUNK, json.dumps(tower, indent=1) + "\n")
    write_text(run / BERT, bert.config.to_json_string())


def start_from(
    network: PretrainingNetwork,
    started: PretrainingNetwork,
    known: AnswerClasses,
    answers: AnswerClasses,
) -> None:
    """Copy the weights of a run into a network of the same sizes."""
    weights = started.state_dict()
    own = network.state_dict()
    network.load_state_dict(
        {name: x if name.startswith("answers.") else weights[name] for name, x in own.items()}
    )
    if network.answers is not None and started.answers is not None:
        head = started.answers.state_dict()
        initialise_from_answers(network.answers, answers.answers, head, known.classes, str)


def _assemble(config: PretrainVlConfig, visual: Any, bert: Any, answers: int) -> PretrainingNetwork:
    joint = config.model == "multilingual"
    trunk = Trunk(visual, config.faithful, config.trunk.frozen_norms, tokens=joint)
    trunk.frozen = config.trunk.frozen
    positions = 0 if joint and config.faithful else config.trunk.positions
    _check_size(config, trunk, positions)
    pools_means = config.text.pooling == "means"
    if joint:
        stream = JointStream(bert, trunk.channels, positions, pools_means)
    else:
        stream = SingleStream(bert, trunk.channels, positions, config.faithful, pools_means)
    initialise(stream.visual, bert.config.hidden_size)
    initialise(stream.pooler, bert.config.hidden_size)
    return PretrainingNetwork(trunk, stream, answers, config.cells)


def _check_size(config: PretrainVlConfig, trunk: Trunk, positions: int) -> None:
    """Check that images of the given size have whole cells, with position embeddings."""
    short, long = config.image_size
    flag = f"--image-size {short} {long}"
    stride = trunk.tower.stride
    if short % stride[0] or long % stride[1] or long % stride[0] or short % stride[1]:
        raise UserError(
            f"{flag}: the cells of the encoder have {stride[0]} x {stride[1]} pixels; give "
            "multiples"
        )
    rows, columns = trunk.tower.grid_shape(torch.empty(1, 3, long, short, device="meta"))
    if positions and max(rows, columns) > positions:
        raise UserError(
            f"{flag}: {max(rows, columns)} cells along a side, but only {positions} "
            "position embeddings; raise --trunk.positions, or set it to 0"
        )


def _make_bert(config: TextConfig, pieces: int) -> "BertModel":
    """Build a BERT without pooler."""
    from transformers import BertConfig, BertModel

    if config.bert is None:
        sizes = BertConfig(
            vocab_size=pieces,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feed_forward_size,
            max_position_embeddings=_POSITIONS,
            initializer_range=deviation(config.hidden_size),
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
        )
        return build_bert(sizes)
    loaded = load_text_model(config.bert)
    if not isinstance(loaded, BertModel):
        raise UserError(
            f"{config.bert}: a {type(loaded).__name__}, not a BERT; give the folder or name of one"
        )
    if loaded.config.vocab_size < pieces:
        raise UserError(
            f"{config.bert}: its tokenizer has {pieces} word pieces, but the model only "
            f"{loaded.config.vocab_size}; download the folder again"
        )
    loaded.config.hidden_dropout_prob = config.dropout
    loaded.config.attention_probs_dropout_prob = config.dropout
    bert = build_bert(loaded.config)
    weights = {k: v for k, v in loaded.state_dict().items() if not k.startswith("pooler.")}
    bert.load_state_dict(weights)
    return bert


def _bert_of_run(run: Path) -> "BertModel":
    """Build the BERT of a run with random weights."""
    from transformers import BertConfig

    path = run / BERT
    content: Any = read_json_object(path, _HINT)
    try:
        return build_bert(BertConfig.from_dict(content))
    except Exception as error:  # transformers raises many types for invalid values
        raise UserError(f"{path}: damaged ({in_one_line(error)}); {_HINT}") from error


def build_bert(config: "BertConfig") -> "BertModel":
    """Build a BERT without pooler and with random weights."""
    from transformers import BertModel

    return BertModel(config, add_pooling_layer=False)
