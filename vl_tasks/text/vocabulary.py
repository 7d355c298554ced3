"""Vocabularies, which map words to token ids."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.vl_tasks.text.words import Tokenizer

UNKNOWN = "UNK"
_HINT = "train the run again"


class _Saved(msgspec.Struct):
    words: list[str]
    tokenizer: Tokenizer = "ours"


class Vocabulary:
    """Words with token ids from 1; 0 is padding and the end of a caption; `UNK` has the last id.

    The ids are those of ImageCaptioning.pytorch (`scripts/prepro_labels.py`), where 0 also begins a
    caption.

    Attributes:
        words: Words in the order of their ids, which begin at 1, without `UNK`.
        tokenizer: Tokenizer that produced the words; captions are tokenised already.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer = "ours") -> None:
        if len(set(words)) != len(words) or "" in words or UNKNOWN in words:
            raise UserError(f"its words must be distinct, not empty and not {UNKNOWN}")
        self.words = tuple(words)
        self.tokenizer: Tokenizer = tokenizer
        self._ids = {word: token_id for token_id, word in enumerate(self.words, start=1)}

    @classmethod
    def build(
        cls,
        sentences: Iterable[Sequence[str]],
        min_count: int = 1,
        tokenizer: Tokenizer = "ours",
    ) -> "Vocabulary":
        """Build a vocabulary of the words that occur at least `min_count` times.

        Words are sorted by descending frequency, then alphabetically.
        """
        counts = Counter(word for sentence in sentences for word in sentence)
        frequent = sorted((-n, word) for word, n in counts.items() if n >= min_count)
        return cls([word for _, word in frequent if word and word != UNKNOWN], tokenizer)

    @classmethod
    def load(cls, path: str | Path, tokenizer: Tokenizer = "ours") -> "Vocabulary":
        """Read a vocabulary that `save` wrote."""
        content = read_json(path, _HINT)
        try:
            saved = msgspec.convert(content, _Saved)
            vocabulary = cls(saved.words, saved.tokenizer)
        except (msgspec.ValidationError, UserError) as error:
            raise UserError(
                f"{path}: not a vocabulary that Vocabulary.save wrote ({error}); {_HINT}"
            ) from error
        if vocabulary.tokenizer != tokenizer:
            raise UserError(
                f"{path}: its words are those of the tokenizer {vocabulary.tokenizer!r}, not "
                f"{tokenizer!r}; set --tokenizer {vocabulary.tokenizer}, or train the run again"
            )
        return vocabulary

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        content = {"tokenizer": self.tokenizer, "words": self.words}
        write_text(path, json.dumps(content, ensure_ascii=False))

    @property
    def unknown(self) -> int:
        """Token id of `UNK`."""
        return len(self.words) + 1

    def __len__(self) -> int:
        """Number of token ids, including padding and `UNK`."""
        return len(self.words) + 2

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return False
        return (self.words, self.tokenizer) == (other.words, other.tokenizer)

    def __hash__(self) -> int:
        return hash((self.words, self.tokenizer))

    def encode(self, sentences: Sequence[Sequence[str]], length: int) -> np.ndarray:
        """Convert N sentences to token ids, truncated to `length` words.

        Returns:
            (N, length) int32, padded with 0.
        """
        encoded = np.zeros((len(sentences), length), dtype=np.int32)
        for row, sentence in zip(encoded, sentences, strict=True):
            ids = [self._ids.get(word, self.unknown) for word in sentence[:length]]
            row[: len(ids)] = ids
        return encoded

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words up to the first 0."""
        words = []
        for token_id in ids:
            if token_id == 0:
                break
            words.append(self.words[token_id - 1] if token_id <= len(self.words) else UNKNOWN)
        return words
