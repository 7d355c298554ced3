"""An instruction encoder on top of a Hugging Face model, frozen or tuned.

As CLEAR does with multilingual BERT (`r2r_src/model.py: EncoderMBert`): the decoder starts from
the first token's state and attends to all of them. A frozen model reads every instruction once and
its states are kept on disk as 16-bit numbers.
"""

import os
import tempfile

import numpy as np
import torch
from torch import Tensor, nn

from agents.configs import FollowerConfig, TextConfig
from agents.envdrop.attention import Dropout
from agents.envdrop.encoders import PAD, Context, State, unread
from storage import cache_dir
from storage.hugging_face import load_text_model


class PretrainedEncoder(nn.Module):
    """Hugging Face model, and a projection of its states to what the decoder reads.

    Args:
        text: Names the model; its weights are learnt and saved with the follower only if tuned.
        config: Sizes of the follower.
    """

    def __init__(self, text: TextConfig, config: FollowerConfig) -> None:
        super().__init__()
        assert text.model is not None
        self._name = text.model
        model = load_text_model(text.model)
        pooler = getattr(model, "pooler", None)
        if pooler is not None:
            # Nobody reads what it makes, and DistributedDataParallel waits for every gradient.
            pooler.requires_grad_(False)
        width = model.config.hidden_size
        self.tuned = model if text.tune else None
        # In a list a frozen model is no part of this module: it stays in evaluation mode.
        self._frozen = None if text.tune else FrozenStates(model.eval().requires_grad_(False))
        self.words = nn.Linear(width, config.hidden_size)
        self.initial = nn.Linear(width, config.hidden_size)
        self.dropout = Dropout(config.dropout)

    @property
    def architecture(self) -> dict[str, str]:
        """What must be alike for weights to fit."""
        return {"text model": self._name}

    def forward(self, tokens: Tensor) -> tuple[Context, State]:
        """Encode instructions.

        Args:
            tokens: (B, L) numbers of a `PretrainedTokenizer`, padded with 0 at the end.

        Returns:
            The encoded words and the decoder's first state.
        """
        tokens = tokens[:, : int((tokens != PAD).sum(1).max())].long()
        mask = tokens != PAD  # (B, L)
        if self.tuned is not None:
            numbers = (tokens - 1).clamp_min(0)
            states = self.tuned(numbers, attention_mask=mask.long()).last_hidden_state
        else:
            assert self._frozen is not None
            states = self._frozen.states(tokens).to(self.words.weight.device)  # (B, L, width)
        first = torch.tanh(self.initial(states[:, 0]))  # (B, H)
        return Context(self.dropout(self.words(states)), mask), State(first, first, unread(mask))


class FrozenStates:
    """States of a model that does not learn, each instruction's computed once.

    An instruction is read by itself: its states do not depend, even in the last bit, on when and
    with which others it was read first, so a resumed run goes on exactly.

    Args:
        model: Hugging Face model in evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        cache_dir().mkdir(parents=True, exist_ok=True)
        # Without a name: gone when the process ends.
        self._file = tempfile.TemporaryFile(dir=cache_dir())
        self._places: dict[bytes, tuple[int, int]] = {}
        self._end = 0

    def states(self, tokens: Tensor) -> Tensor:
        """(B, L, width) float32 states of tokens (B, L), zero on padding."""
        self._model.to(tokens.device)
        read = [self._read(row[row != PAD]) for row in tokens.cpu().numpy()]
        states = np.zeros((*tokens.shape, read[0].shape[1]), np.float32)
        for row, own in enumerate(read):
            states[row, : len(own)] = own
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
        numbers = torch.from_numpy(tokens - 1).to(device)[None]
        states = self._model(numbers).last_hidden_state[0]
        data = states.half().cpu().numpy().tobytes()
        place = self._end, len(data)
        os.pwrite(self._file.fileno(), data, self._end)
        self._end += len(data)
        return place
