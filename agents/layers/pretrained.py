"""Instruction encoders on top of a transformer, frozen or fine-tuned.

Either the decoder attends to the hidden states, as in CLEAR with multilingual BERT
(`r2r_src/model.py: EncoderMBert`), or an LSTM reads them first. A frozen model encodes every
instruction of the splits once; its hidden states are stored on disk in half precision.
"""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.encoders import (
    PAD,
    Context,
    State,
    WordReader,
    initial_history,
    without_padding,
)
from clipnav.agents.layers.recurrent import BidirectionalLSTM
from clipnav.agents.layers.visual import FeatureScale
from clipnav.agents.settings import FollowerConfig
from clipnav.storage import cache_dir
from clipnav.storage.hugging_face import load_text_model

_SPARE = 1 << 30  # bytes that hidden states leave free on the disk
_HALF = 2  # bytes of a float16


@dataclass(frozen=True, eq=False)
class TextModel:
    """A transformer over token ids, and what identifies it.

    Attributes:
        shift: Difference between the ids of the tokenizer, where padding is 0, and those of the
            model.
        identity: Name or digest that must match for the weights of a follower to be loaded.
    """

    network: Any
    shift: int
    identity: dict[str, str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.network.config.hidden_size

    def states(self, tokens: Tensor) -> Tensor:
        """Return the hidden states (B, L, width) of tokens (B, L), padded with 0 at the end."""
        model_ids = (tokens - self.shift).clamp_min(0)
        mask = (tokens != PAD).long()
        return self.network(model_ids, attention_mask=mask).last_hidden_state


def hugging_face_model(name: str) -> TextModel:
    """Load a model for `PretrainedTokenizer` of `clipnav.envs.tokenizers`; its pooler is frozen."""
    network = load_text_model(name)
    pooler = getattr(network, "pooler", None)
    if pooler is not None:
        # Its output is unused, but DistributedDataParallel waits for every gradient.
        pooler.requires_grad_(False)
    return TextModel(network, 1, {"text model": name})


class TransformerEncoder(nn.Module):
    """What both encoders share: the hidden states of a transformer.

    Attributes:
        frozen: Hidden states on disk, or None if the model is fine-tuned.
    """

    def __init__(self, text: TextModel, tune: bool) -> None:
        super().__init__()
        self.text = text
        self.tuned = text.network if tune else None
        # A frozen model is not a submodule, so it stays in evaluation mode and is not saved.
        self.frozen = None
        if not tune:
            text.network.eval().requires_grad_(False)
            self.frozen = FrozenStates(text)

    @property
    def architecture(self) -> dict[str, str]:
        """Identity of the model, which must match for weights to be loaded."""
        return self.text.identity

    def states(self, tokens: Tensor) -> Tensor:
        """Return the hidden states (B, L, width) of token ids (B, L) int64."""
        return (self.text if self.frozen is None else self.frozen).states(tokens)


class PretrainedEncoder(TransformerEncoder):
    """Transformer with a projection of its hidden states to the width of the decoder.

    The decoder starts from the state of the first token and attends to those of all tokens. States
    of the width of the decoder are not projected, as in CLEAR.
    """

    def __init__(self, text: TextModel, config: FollowerConfig, tune: bool = False) -> None:
        super().__init__(text, tune)
        projected = text.width != config.hidden_size
        self.words = nn.Linear(text.width, config.hidden_size) if projected else nn.Identity()
        self.initial = nn.Linear(text.width, config.hidden_size)
        self.dropout = Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> tuple[Context, State]:
        """Encode instructions.

        Args:
            tokens: (B, L) ids of the tokenizer of the model, padded with 0 at the end.
        """
        tokens = without_padding(tokens).long()
        mask = tokens != PAD  # (B, L)
        states = self.states(tokens)  # (B, L, width)
        first = torch.tanh(self.initial(states[:, 0]))  # (B, H)
        state = State(first, first, initial_history(mask))
        return Context(self.dropout(self.words(states)), mask), state


class StateReader(TransformerEncoder, WordReader):
    """Transformer with an LSTM over its hidden states, which takes them as word embeddings.

    The states of all words have a large vector in common. Standardised, they lack it, and the
    outputs of an LSTM are bounded. Attention to a linear projection of the states is neither: in
    the built-in houses its gradients are several times as large, and followers learn less.

    Attributes:
        scale: Standardisation of the hidden states; see `fit`.
    """

    def __init__(self, text: TextModel, config: FollowerConfig, tune: bool = False) -> None:
        super().__init__(text, tune)
        self.scale = FeatureScale(text.width, 0)
        self.dropout = Dropout(config.dropout)
        self.read = BidirectionalLSTM(text.width, config.hidden_size)
        self.initial = nn.Linear(config.hidden_size, config.hidden_size)

    @property
    def architecture(self) -> dict[str, str]:
        """Identity of the model, and that an LSTM reads its states."""
        return {**super().architecture, "states of the text model": "read by an LSTM"}

    @torch.no_grad()
    def fit(self, tokens: Tensor) -> None:
        """Set the scale: the states of these instructions (N, L) get mean 0 and deviation 1."""
        network, tokens = self.text.network, tokens.to(self.scale.shift.device).long()
        was_training = network.training
        network.eval()
        states = [self.states(row[None, row != PAD])[0] for row in tokens]
        network.train(was_training)
        words = torch.cat(states)  # (words of all instructions, width)
        self.scale.fit(words.mean(0), words.std(0))

    def forward(self, tokens: Tensor) -> tuple[Context, State]:
        """Encode instructions; see `PretrainedEncoder.forward`."""
        tokens = without_padding(tokens).long()
        mask = tokens != PAD  # (B, L)
        states = self.scale.features(self.states(tokens))
        return self.encode(states.masked_fill(~mask.unsqueeze(2), 0.0), mask)


class FrozenStates:
    """Hidden states of a frozen model, computed once per instruction of the reserved splits.

    Other instructions, such as those of a speaker or with masked words, are encoded at every use:
    their number has no bound. Each instruction is encoded by itself, so that its states are the
    same to the bit whenever it is first used and a resumed run is reproducible.
    """

    def __init__(self, text: TextModel) -> None:
        self._text = text
        cache_dir().mkdir(parents=True, exist_ok=True)
        # The file has no name and is deleted when the process ends.
        self._file = tempfile.TemporaryFile(dir=cache_dir())
        self._reserved: set[bytes] = set()
        self._places: dict[bytes, tuple[int, int]] = {}
        self._end = 0

    def reserve(self, tokens: Iterable[np.ndarray]) -> int:
        """Store the states of all instructions of some splits, if they fit on the disk.

        Args:
            tokens: Instructions (B, L) of each split; equal instructions are stored once.
        """
        # As int64, like the tokens that the encoder receives.
        texts = (row[row != PAD].astype(np.int64) for part in tokens for row in part)
        rows = {text.tobytes(): len(text) for text in texts}
        new = sum(count for key, count in rows.items() if key not in self._places)
        size = _HALF * self._text.width * new
        free = shutil.disk_usage(cache_dir()).free
        if size + _SPARE > free:
            raise OSError(
                f"{cache_dir()}: the hidden states of {len(rows)} instructions take "
                f"{size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free, of which "
                f"{_SPARE / 1e9:.1f} GB remain unused; make room, name another folder with "
                "CLIPNAV_CACHE, lower --max-instruction-length, or fine-tune the encoder"
            )
        self._reserved |= rows.keys()
        return size

    def states(self, tokens: Tensor) -> Tensor:
        """Return the hidden states (B, L, width) float32 of tokens (B, L), zero on padding."""
        self._text.network.to(tokens.device)
        rows = [self._read(row[row != PAD]) for row in tokens.cpu().numpy()]
        states = np.zeros((*tokens.shape, self._text.width), np.float32)
        for row, values in enumerate(rows):
            states[row, : len(values)] = values
        return torch.from_numpy(states).to(tokens.device)

    def _read(self, tokens: np.ndarray) -> np.ndarray:
        key = tokens.tobytes()
        if key not in self._places:
            states = self._encode(tokens)
            if key in self._reserved:
                data = states.tobytes()
                place = self._end, len(data)
                self._file.seek(self._end)
                self._file.write(data)
                self._file.flush()
                self._end += len(data)
                self._places[key] = place
            return states
        start, size = self._places[key]
        self._file.seek(start)
        halves = np.frombuffer(self._file.read(size), np.float16)
        return halves.reshape(len(tokens), -1)

    @torch.no_grad()
    def _encode(self, tokens: np.ndarray) -> np.ndarray:
        device = next(self._text.network.parameters()).device
        # Stored states are read in any precision, so they must not depend on that of their first
        # use: a resumed run computes them within the training, a new run before it.
        with torch.autocast(device.type, enabled=False):
            states = self._text.states(torch.from_numpy(tokens).to(device)[None])[0]
        return states.half().cpu().numpy()
