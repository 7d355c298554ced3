"""Instruction encoder on top of a Hugging Face model, frozen or fine-tuned.

As in CLEAR with multilingual BERT (`r2r_src/model.py: EncoderMBert`), the decoder starts from the
hidden state of the first token and attends to those of all tokens. A frozen model encodes every
instruction once; its hidden states are stored on disk in half precision.
"""

import os
import tempfile

import numpy as np
import torch
from torch import Tensor, nn

from agents.envdrop.attention import Dropout
from agents.envdrop.encoders import PAD, Context, State, initial_history
from agents.settings import FollowerConfig, TextConfig
from storage import cache_dir
from storage.hugging_face import load_text_model


class PretrainedEncoder(nn.Module):
    """Hugging Face model with a projection of its hidden states to the width of the decoder.

    Args:
        text: Name of the model; its weights are trained and saved with the follower if `tune`.
        config: Layer sizes of the follower.
    """

    def __init__(self, text: TextConfig, config: FollowerConfig) -> None:
        super().__init__()
        assert text.model is not None
        self._name = text.model
        model = load_text_model(text.model)
        pooler = getattr(model, "pooler", None)
        if pooler is not None:
            # Its output is unused, but DistributedDataParallel waits for every gradient.
            pooler.requires_grad_(False)
        width = model.config.hidden_size
        self.tuned = model if text.tune else None
        # A frozen model is not a submodule, so it stays in evaluation mode and is not saved.
        self._frozen = None if text.tune else FrozenStates(model.eval().requires_grad_(False))
        self.words = nn.Linear(width, config.hidden_size)
        self.initial = nn.Linear(width, config.hidden_size)
        self.dropout = Dropout(config.dropout)

    @property
    def architecture(self) -> dict[str, str]:
        """Name of the model, which must match for weights to be loaded."""
        return {"text model": self._name}

    def forward(self, tokens: Tensor) -> tuple[Context, State]:
        """Encode instructions.

        Args:
            tokens: (B, L) ids of a `PretrainedTokenizer`, padded with 0 at the end.

        Returns:
            The encoded words and the initial decoder state.
        """
        tokens = tokens[:, : int((tokens != PAD).sum(1).max())].long()
        mask = tokens != PAD  # (B, L)
        if self.tuned is not None:
            model_ids = (tokens - 1).clamp_min(0)
            states = self.tuned(model_ids, attention_mask=mask.long()).last_hidden_state
        else:
            assert self._frozen is not None
            states = self._frozen.states(tokens).to(self.words.weight.device)  # (B, L, width)
        first = torch.tanh(self.initial(states[:, 0]))  # (B, H)
        state = State(first, first, initial_history(mask))
        return Context(self.dropout(self.words(states)), mask), state


class FrozenStates:
    """Hidden states of a frozen model, computed once per instruction.

    Each instruction is encoded by itself, so that its states are the same to the bit whenever it
    is first used and a resumed run is reproducible.

    Args:
        model: Hugging Face model in evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        cache_dir().mkdir(parents=True, exist_ok=True)
        # The file has no name and is deleted when the process ends.
        self._file = tempfile.TemporaryFile(dir=cache_dir())
        self._places: dict[bytes, tuple[int, int]] = {}
        self._end = 0

    def states(self, tokens: Tensor) -> Tensor:
        """Return the hidden states (B, L, width) float32 of tokens (B, L), zero on padding."""
        self._model.to(tokens.device)
        rows = [self._read(row[row != PAD]) for row in tokens.cpu().numpy()]
        states = np.zeros((*tokens.shape, rows[0].shape[1]), np.float32)
        for row, values in enumerate(rows):
            states[row, : len(values)] = values
        return torch.from_numpy(states)

    def _read(self, tokens: np.ndarray) -> np.ndarray:
        key = tokens.tobytes()
        if key not in self._places:
            self._places[key] = self._write(tokens)
        start, size = self._places[key]
        halves = np.frombuffer(os.pread(self._file.fileno(), size, start), np.float16)
        return halves.reshape(len(tokens), -1)

    @torch.no_grad()
    def _write(self, tokens: np.ndarray) -> tuple[int, int]:
        device = next(self._model.parameters()).device
        model_ids = torch.from_numpy(tokens - 1).to(device)[None]
        states = self._model(model_ids).last_hidden_state[0]
        data = states.half().cpu().numpy().tobytes()
        place = self._end, len(data)
        os.pwrite(self._file.fileno(), data, self._end)
        self._end += len(data)
        return place
