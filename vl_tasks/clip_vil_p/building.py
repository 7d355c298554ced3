"""Networks of pre-training: new ones, and those of a run."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from clipnav.encoders.weights.loading import build_image_tower, load_image_tower
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.training.checkpoints import load_model
from clipnav.training.settings import read_config
from clipnav.vl_tasks.clip_vil_p.data.answers import AnswerClasses
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import exact_batches
from clipnav.vl_tasks.clip_vil_p.data.pictures import image_size, read_prepared, stack
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces
from clipnav.vl_tasks.clip_vil_p.networks.bert import bert_of_run, make_bert, save_bert_config
from clipnav.vl_tasks.clip_vil_p.networks.heads import initialise, initialise_from_answers
from clipnav.vl_tasks.clip_vil_p.networks.network import PretrainingNetwork
from clipnav.vl_tasks.clip_vil_p.networks.stream import JointStream, SingleStream
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk
from clipnav.vl_tasks.clip_vil_p.settings import PretrainConfig

if TYPE_CHECKING:
    from transformers import BertModel

TRUNK = "trunk.json"  # within the folder of a run: configuration of the image tower
_REMEDY = "train the run again"


def make_network(
    config: PretrainConfig, pieces: WordPieces, answers: int
) -> tuple[PretrainingNetwork, dict[str, Any]]:
    """Build the network of a new run."""
    chosen = config.trunk
    visual, description = load_image_tower(chosen.encoder, chosen.pretrained, chosen.random_weights)
    bert = make_bert(config.text, pieces.size)
    return _assemble(config, visual, bert, answers), description


class PretrainedParts(Protocol):
    """Trunk and transformer of a network."""

    trunk: Trunk
    stream: SingleStream


def new_word_pieces(config: PretrainConfig, texts: Iterable[str]) -> WordPieces:
    """Load the word pieces of a BERT, or learn them from the training sentences."""
    if config.text.bert is not None:
        return WordPieces.of_bert(config.text.bert)
    keeps_accents = config.model == "multilingual"
    return WordPieces.learn(texts, config.text.vocabulary_size, keeps_accents)


def standardise(
    network: PretrainedParts, paths: Sequence[Path], config: PretrainConfig, device: str
) -> None:
    """Fit the projection of grid features of a new network to images; see `VisualEmbedding`."""
    framing = config.framing
    portrait = np.array([framing.is_portrait(*image_size(path)) for path in paths], bool)
    network.trunk.eval()
    cells = []
    with torch.inference_mode():
        for part in exact_batches(portrait, config.batch_size):
            pictures = stack([read_prepared(paths[k], framing) for k in part])
            grid, mask = network.trunk(pictures.to(device))
            cells.append(grid[mask].float())
    network.stream.visual.standardise(torch.cat(cells).clone())


def load_run(run: Path) -> tuple[PretrainConfig, PretrainingNetwork, WordPieces, AnswerClasses]:
    """Load the network of a run of clipnav pretrain-vl with its weights.

    Returns:
        Settings, network in evaluation mode, word pieces and answers of the run.

    Raises:
        FileNotFoundError: The folder is not a run, or a file is missing.
        UserError: A file is damaged, or of another version.
    """
    config = read_config(run, PretrainConfig)
    pieces = WordPieces.load(run)
    answers = AnswerClasses.of_run(run)
    network = build_network(config, run, len(answers))
    load_model(run, network, {"word pieces": pieces.digest})
    return config, network.eval(), pieces, answers


def build_network(config: PretrainConfig, run: Path, answers: int) -> PretrainingNetwork:
    """Build the network of a run with random weights; see `load_run`."""
    description = read_json_object(run / TRUNK, _REMEDY)
    visual = build_image_tower(description, str(run / TRUNK))
    return _assemble(config, visual, bert_of_run(run), answers)


def save_description(run: Path, bert: "BertModel", tower: dict[str, Any]) -> None:
    """Write the configurations of BERT and image tower into the folder of a run."""
    write_text(run / TRUNK, json.dumps(tower, indent=1) + "\n")
    save_bert_config(run, bert)


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


def _assemble(config: PretrainConfig, visual: Any, bert: Any, answers: int) -> PretrainingNetwork:
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


def _check_size(config: PretrainConfig, trunk: Trunk, positions: int) -> None:
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
