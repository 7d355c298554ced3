"""The interface of all tokenizers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np


class Tokenizer(Protocol):
    """A vocabulary with a mapping between sentences and token ids; id 0 is padding.

    Two tokenizers are equal if they give the same ids.
    """

    @property
    def words(self) -> tuple[str, ...]:
        """Words or pieces of words in index order."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """Id of words outside the vocabulary; None if every text can be encoded."""
        ...

    @property
    def description(self) -> str | None:
        """Text that determines all ids, for caches; None if there is no such text."""
        ...

    def __len__(self) -> int:
        """Return the size of the vocabulary."""
        ...

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Return the token ids (length,) int32 of a sentence, truncated or padded with 0."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids, without padding, start token and end token."""
        ...

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON; `load_tokenizer` reads it back."""
        ...
