"""Batches of pairs of an image and a sentence, with the targets of pre-training."""

from typing import NamedTuple

import torch
from torch import Tensor

# Target of a word piece that is not masked, of a pair without an answer, or without an objective.
NONE = -1
OBJECTIVES: tuple[str, ...] = ("words", "matching", "answers")


class Pictures(NamedTuple):
    """Images of B pairs, of one size, each padded at all sides.

    Attributes:
        pixels: (M, 3, H, W) uint8 RGB; black in the padding.
        boxes: (M, 4) int64: top, left, height and width of the image without padding.
        rows: (B,) int64: row of the image of each pair, so that pairs of one image share it; None
            if each pair has an image of its own.
    """

    pixels: Tensor
    boxes: Tensor
    rows: Tensor | None = None

    def to(self, device: str | torch.device) -> "Pictures":
        """Move all tensors to a device."""
        moved = (None if x is None else x.to(device, non_blocking=True) for x in self)
        return Pictures(*moved)  # pyright: ignore


class Batch(NamedTuple):
    """B pairs of an image and a sentence of at most T word pieces.

    Attributes:
        pictures: Images of the pairs.
        pieces: (B, T) int64; 0 is padding.
        words: (B, T) int64: the original id where a word piece is masked, else `NONE`.
        matching: (B,) int64: 1 if the sentence belongs to the image, else 0; `NONE` without the
            matching objective.
        answers: (B,) int64: class of the answer, or `NONE`.
    """

    pictures: Pictures
    pieces: Tensor
    words: Tensor
    matching: Tensor
    answers: Tensor

    def to(self, device: str | torch.device) -> "Batch":
        """Move all tensors to a device."""
        pictures, *others = self
        return Batch(pictures.to(device), *(x.to(device, non_blocking=True) for x in others))

    def counts(self) -> dict[str, int]:
        """Return the number of targets of each objective."""
        return {
            "words": int((self.words != NONE).sum()),
            "matching": int((self.matching != NONE).sum()),
            "answers": int((self.answers != NONE).sum()),
        }
