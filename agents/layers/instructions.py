"""Token ids of instructions as networks read them."""

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.layers.encoders import PAD, without_padding


def empty_instructions(tokens: np.ndarray) -> np.ndarray:
    """Return the first (BOS) and last token (EOS) of instructions (B, L) as (B, 2)."""
    length = (tokens != PAD).sum(1)
    return np.stack([tokens[:, 0], tokens[np.arange(len(tokens)), length - 1]], 1)


def readable(tokens: np.ndarray, reads_instructions: bool) -> np.ndarray:
    """Return what an agent reads of instructions (B, L): all of them, or empty ones (B, 2)."""
    return tokens if reads_instructions else empty_instructions(tokens)


def cropped(tokens: np.ndarray) -> Tensor:
    """Return token ids (B, L) as a tensor without columns of padding."""
    return torch.from_numpy(np.ascontiguousarray(without_padding(tokens))).long()
