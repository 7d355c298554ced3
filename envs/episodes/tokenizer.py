"""Word tokenizer of instructions, as in the Room-to-Room baseline (`tasks/R2R/utils.py`)."""

import json
import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from storage import write_text
from storage.json_files import read_json

PAD, UNK, EOS, BOS = "<PAD>", "<UNK>", "<EOS>", "<BOS>"

# R2R splits at (\W+). Python counts the vowel signs of Devanagari and Telugu among \W, which
# would tear Hindi and Telugu words apart, so their blocks (without the full stops U+0964-5) and
# the joiners U+200C-D belong to words here; for English the split is the same.
_NOT_WORD = re.compile("([^\\w\u0900-\u0963\u0966-\u097f\u0c00-\u0c7f\u200c\u200d]+)")
_REMEDY = "train the run anew"
_PUNCTUATION = frozenset(string.punctuation)


def split_words(sentence: str) -> list[str]:
    """Lower-case words and punctuation marks; only runs of full stops stay together."""
    words = []
    for token in _NOT_WORD.split(sentence.lower()):
        token = token.strip()
        if token and _PUNCTUATION.issuperset(token) and token.strip("."):
            words.extend(token)
        elif token:
            words.append(token)
    return words


class WordTokenizer:
    """Vocabulary of words; `<PAD>`, `<UNK>` and `<EOS>` are 0, 1 and 2, `<BOS>` comes last.

    Attributes:
        words: The vocabulary in index order.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if list(words[:3]) != [PAD, UNK, EOS] or words[-1] != BOS or len(set(words)) != len(words):
            raise ValueError(
                f"a vocabulary is {PAD}, {UNK}, {EOS}, distinct words and {BOS}, "
                f"but this one is {list(words[:4])} ... {list(words[-2:])}"
            )
        self.words = tuple(words)
        self._indices = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def build(cls, sentences: Iterable[str], min_count: int = 5) -> "WordTokenizer":
        """Collect the words that occur at least `min_count` times, the most frequent first."""
        counts = Counter(word for sentence in sentences for word in split_words(sentence))
        frequent = [(-count, word) for word, count in counts.items() if count >= min_count]
        return cls([PAD, UNK, EOS, *(word for _, word in sorted(frequent)), BOS])

    @classmethod
    def load(cls, path: str | Path) -> "WordTokenizer":
        """Read a vocabulary that `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file does not hold a vocabulary.
        """
        try:
            saved = read_json(path, _REMEDY)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise FileNotFoundError(
                f"{path}: no such file of a vocabulary; name the vocabulary.json of a run, or "
                "leave it out to build one from the training split"
            ) from error
        try:
            if not all(isinstance(word, str) for word in saved["words"]):
                raise ValueError("a word is no text")
            return cls(saved["words"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a vocabulary that WordTokenizer.save wrote ({error}); {_REMEDY}"
            ) from error

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        write_text(path, json.dumps({"words": self.words}, ensure_ascii=False))

    @property
    def unknown_id(self) -> int | None:
        """Id of words outside the vocabulary; None if there are none such."""
        return self._indices[UNK]

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WordTokenizer) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Token ids of a sentence: BOS, words, EOS, PAD; one too long ends in EOS all the same.

        Returns:
            (length,) int32.
        """
        unknown = self._indices[UNK]
        ids = [self._indices[BOS]]
        ids.extend(self._indices.get(word, unknown) for word in split_words(sentence)[:length])
        ids = [*ids[: length - 1], self._indices[EOS]]
        encoded = np.full(length, self._indices[PAD], dtype=np.int32)
        encoded[: len(ids)] = ids
        return encoded

    def decode(self, ids: Iterable[int]) -> str:
        """Words of an encoded sentence without padding and marks, joined by spaces."""
        words = (self.words[i] for i in ids)
        return " ".join(word for word in words if word not in (PAD, EOS, BOS))
