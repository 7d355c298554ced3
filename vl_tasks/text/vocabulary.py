"""Vocabularies of words: questions, hypotheses and captions as integers."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from storage import write_text
from storage.json_files import read_json
from vl_tasks.text.words import Tokenizer

UNKNOWN = "UNK"
_REMEDY = "train the run again"


class Vocabulary:
    """Words numbered from 1; 0 is padding, and ends a caption; `UNK` comes last.

    The numbering is that of ImageCaptioning.pytorch (`scripts/prepro_labels.py`), where 0 also
    begins a caption.

    Attributes:
        words: The words in the order of their numbers, the first of which is 1, without `UNK`.
        tokenizer: What cut the sentences into these words; captions come as words already.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer = "ours") -> None:
        if len(set(words)) != len(words) or "" in words or UNKNOWN in words:
            raise ValueError(f"a vocabulary has distinct words, none of them empty or {UNKNOWN}")
        self.words = tuple(words)
        self.tokenizer: Tokenizer = tokenizer
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}

    @classmethod
    def build(
        cls,
        sentences: Iterable[Sequence[str]],
        min_count: int = 1,
        tokenizer: Tokenizer = "ours",
    ) -> "Vocabulary":
        """Collect the words that occur at least `min_count` times, the most frequent first."""
        counts = Counter(word for sentence in sentences for word in sentence)
        frequent = sorted((-n, word) for word, n in counts.items() if n >= min_count)
        return cls([word for _, word in frequent if word and word != UNKNOWN], tokenizer)

    @classmethod
    def load(cls, path: str | Path, tokenizer: Tokenizer = "ours") -> "Vocabulary":
        """Read a vocabulary that `save` wrote.

        Args:
            path: The file.
            tokenizer: What cuts the sentences that are to be numbered.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file does not hold a vocabulary, or one of another tokenizer's words.
        """
        saved = read_json(path, _REMEDY)
        try:
            if not all(isinstance(word, str) for word in saved["words"]):
                raise ValueError("a word is no text")
            vocabulary = cls(saved["words"], saved.get("tokenizer", "ours"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: not a vocabulary that Vocabulary.save wrote ({error}); {_REMEDY}"
            ) from error
        if vocabulary.tokenizer != tokenizer:
            raise ValueError(
                f"{path}: its words were cut by the tokenizer {vocabulary.tokenizer!r}, not "
                f"{tokenizer!r}; set --tokenizer {vocabulary.tokenizer}, or train the run again"
            )
        return vocabulary

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        content = {"tokenizer": self.tokenizer, "words": self.words}
        write_text(path, json.dumps(content, ensure_ascii=False))

    @property
    def unknown(self) -> int:
        """Number of `UNK`."""
        return len(self.words) + 1

    def __len__(self) -> int:
        """How many numbers there are, padding and `UNK` included."""
        return len(self.words) + 2

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return False
        return (self.words, self.tokenizer) == (other.words, other.tokenizer)

    def __hash__(self) -> int:
        return hash((self.words, self.tokenizer))

    def encode(self, sentences: Sequence[Sequence[str]], length: int) -> np.ndarray:
        """Numbers of the words of N sentences, cut to `length` words.

        Returns:
            (N, length) int32, padded with 0.
        """
        encoded = np.zeros((len(sentences), length), dtype=np.int32)
        for row, sentence in zip(encoded, sentences, strict=True):
            numbers = [self._numbers.get(word, self.unknown) for word in sentence[:length]]
            row[: len(numbers)] = numbers
        return encoded

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Words up to the first 0."""
        words = []
        for number in numbers:
            if number == 0:
                break
            words.append(self.words[number - 1] if number <= len(self.words) else UNKNOWN)
        return words
