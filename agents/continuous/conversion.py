"""Runs made from the released checkpoints of VLN-CE's CMA agents for R2R-CE.

Reads the state dictionary of `vlnce_baselines/models/cma_policy.py` (729d141) without running code
that the file contains. The frozen image networks are part of it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional

from clipnav.agents.continuous.image_networks import DEPTH_CELLS, ColourNetwork
from clipnav.agents.continuous.networks import make_network
from clipnav.agents.continuous.settings import (
    RELEASED,
    ContinuousNetworkConfig,
    ContinuousTrainConfig,
)
from clipnav.agents.transformer.released import load_strictly
from clipnav.encoders.weights.weight_files import read_weights
from clipnav.envs.continuous.files.reading import read_vlnce_episodes
from clipnav.envs.continuous.settings import R2R_CE
from clipnav.envs.tokenizers import WordTokenizer
from clipnav.envs.tokenizers.tokenizers import BOS, EOS, PAD, UNK
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_new
from clipnav.storage.tensor_files import write_tensors
from clipnav.training.checkpoints import VOCABULARY, save_model
from clipnav.training.settings import CONFIG, to_json

COLOURS = "colours.safetensors"
_GRID = 4  # rows and columns of the colour features
_PIXELS = 224
_PARTS = (
    (r"^net\.instruction_encoder\.embedding_layer\.", "text.embedding."),
    (r"^net\.instruction_encoder\.encoder_rnn\.", "text.lstm."),
    (r"^net\.depth_encoder\.visual_encoder\.", "depth."),
    (r"^net\.(rgb|depth)_encoder\.spatial_embeddings\.", r"\1_position."),
    (r"^net\.prev_action_embedding\.", "previous."),
    (r"^net\.rgb_linear\.2\.", "rgb_linear."),
    (r"^net\.depth_linear\.1\.", "depth_linear."),
    (r"^net\.state_encoder\.rnn\.", "first_recurrent."),
    (r"^net\.second_state_encoder\.rnn\.", "second_recurrent."),
    (r"^net\.(rgb|depth)_kv\.", r"\1_key_value."),
    (r"^net\.state_q\.", "state_query."),
    (r"^net\.text_k\.", "text_key."),
    (r"^net\.text_q\.", "text_query."),
    (r"^net\.second_state_compress\.0\.", "compress."),
    (r"^net\.progress_monitor\.", "head.progress."),
    (r"^action_distribution\.linear\.", "head.actions."),
)
_COLOUR = "net.rgb_encoder.cnn."
_UNUSED = ("net._scale", f"{_COLOUR}fc.")


class ReleasedColours:
    """Grid features of ResNet-50 as VLN-CE computes them: pixels in 0..1 and no other scaling."""

    name = RELEASED
    precision = "float32"
    image_size: tuple[int, int] = (_PIXELS, _PIXELS)

    def __init__(self, weights: Mapping[str, Tensor], source: str, device: str = "cpu") -> None:
        self._network = ColourNetwork().eval()
        counters = self._network.state_dict().items()
        counters = {name: one for name, one in counters if name.endswith("_tracked")}
        load_strictly(self._network, counters | dict(weights), source)
        self._network.get_buffer("mean").zero_()
        self._network.get_buffer("deviation").fill_(1.0)
        self._network.to(device)
        digest = hashlib.sha256()
        for name in sorted(weights):
            digest.update(weights[name].contiguous().numpy().tobytes())
        self.weights_sha256 = digest.hexdigest()

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "ReleasedColours":
        """Read the weights of a converted run."""
        return cls(load_file(path), str(path), device)

    def grid(self, images: np.ndarray) -> np.ndarray:
        """Return features (N, 4, 4, 2048) of pictures (N, 224, 224, 3) uint8."""
        device = self._network.get_buffer("mean").device
        pixels = torch.from_numpy(images).to(device)
        features = self._network(pixels[None])[0].view(len(images), 2048, 7, 7)
        return functional.adaptive_avg_pool2d(features, _GRID).permute(0, 2, 3, 1).cpu().numpy()


def _convert_cma(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of `CMAPolicy` to those of `CrossModalAttention`.

    VLN-CE views its table of 16 positions as 64 x 16 numbers, and flattens depth features channel
    by channel.
    """
    converted: dict[str, Tensor] = {}
    for old, tensor in weights.items():
        if old.startswith((_COLOUR, *_UNUSED)):
            continue
        name = old
        for pattern, replacement in _PARTS:
            name = re.sub(pattern, replacement, name)
        if name.endswith("_position.weight"):
            tensor = tensor.reshape(tensor.shape[1], tensor.shape[0]).T
        elif name == "depth_linear.weight":
            tensor = tensor.unflatten(1, (-1, DEPTH_CELLS)).transpose(1, 2).flatten(1)
        elif tensor.ndim == 3 and not name.startswith("depth."):  # convolutions of size 1
            tensor = tensor.squeeze(-1)
        converted[name] = tensor.contiguous()
    return converted


def _reorder_words(table: Tensor, words: Sequence[str]) -> tuple[Tensor, WordTokenizer]:
    """Return word embeddings (V + 2, D) and the tokenizer whose ids they follow.

    The tokenizer has two more tokens than VLN-CE's list of words: the beginning and the end of a
    sentence, which instructions do not contain and whose embeddings are 0.
    """
    if len(words) != len(table) or [word.lower() for word in words[:2]] != ["<pad>", "<unk>"]:
        raise UserError(
            f"the checkpoint has {len(table)} words and the episode file {len(words)}; give the "
            "preprocessed episode file that the agent was trained with"
        )
    none = torch.zeros_like(table[:1])
    tokenizer = WordTokenizer([PAD, UNK, EOS, *words[2:], BOS])
    return torch.cat([table[:2], none, table[2:], none]), tokenizer


def without_marks(ids: np.ndarray, tokenizer: WordTokenizer) -> np.ndarray:
    """Return token ids (B, L) without the marks of a sentence's ends, which VLN-CE lacks."""
    marks = [tokenizer.words.index(EOS), tokenizer.words.index(BOS)]
    is_word = ~np.isin(ids, marks)
    order = np.argsort(~is_word, axis=1, kind="stable")
    return np.take_along_axis(np.where(is_word, ids, 0), order, axis=1)


def convert_cma_run(weights: Path, output: Path, episodes: Path) -> None:
    """Write a released CMA agent as a run.

    Args:
        episodes: Preprocessed episode file of R2R_VLNCE, which has the vocabulary.
    """
    check_new(output)
    released, _ = read_weights(weights)
    converted = _convert_cma(released)
    words = read_vlnce_episodes(episodes).words
    if "text.embedding.weight" not in converted:
        raise UserError(f"{weights}: has no word embeddings; give a checkpoint of CMA for R2R-CE")
    table, tokenizer = _reorder_words(converted["text.embedding.weight"], words)
    converted["text.embedding.weight"] = table
    colours = {n.removeprefix(_COLOUR): w for n, w in released.items() if n.startswith(_COLOUR)}
    encoder = ReleasedColours(colours, str(weights))
    sizes = ContinuousNetworkConfig(
        **{"depth_network": "ddppo", "depth_channels": 128, "progress_monitor": True},
        word_size=table.shape[1],
        text_size=converted["text.lstm.weight_hh_l0"].shape[1],
        rgb_size=len(converted["rgb_linear.bias"]),
        depth_size=len(converted["depth_linear.bias"]),
        state_size=converted["first_recurrent.weight_hh_l0"].shape[1],
        position_size=converted["rgb_position.weight"].shape[1],
        action_size=converted["previous.weight"].shape[1],
    )
    config = ContinuousTrainConfig(
        output=output, encoder=RELEASED, depth_pixels=256, teacher="goal", rounds=1, network=sizes
    )
    grid = _GRID * _GRID, 2048
    network = make_network(sizes, len(tokenizer), grid, R2R_CE.num_actions)
    load_strictly(network, converted, str(weights))
    output.mkdir(parents=True, exist_ok=True)
    write_tensors(output / COLOURS, save(colours, {"converted from": weights.name}))
    metadata = {"encoder": encoder.name, "encoder_weights": encoder.weights_sha256}
    save_model(output, network, {**metadata, "task": "r2r-ce"})
    tokenizer.save(output / VOCABULARY)
    write_text(output / CONFIG, to_json(config))
