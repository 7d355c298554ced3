"""Word tokenizer, as in the Room-to-Room baseline (`tasks/R2R/utils.py`)."""

import json
import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from clipnav.storage import write_text
from clipnav.storage.errors import UserError

PAD, UNK, EOS, BOS = "<PAD>", "<UNK>", "<EOS>", "<BOS>"

# R2R splits at (\W+). In Python, \W matches the vowel signs of Devanagari and Telugu, which would
# split Hindi and Telugu words. Here the blocks of both scripts (without the full stops U+0964-5)
# and the joiners U+200C-D count as parts of words; for English the result is the same.
_NOT_WORD = re.compile("([^\\w\u0900-\u0963\u0966-\u097f\u0c00-\u0c7f\u200c\u200d]+)")
_PUNCTUATION = frozenset(string.punctuation)


def split_words(sentence: str) -> list[str]:
    """Split a sentence into lower-case words and single punctuation marks.

    Only runs of full stops stay together.
    """
    words = []
    for token in _NOT_WORD.split(sentence.lower()):
        token = token.strip()
        if token and _PUNCTUATION.issuperset(token) and token.strip("."):
            words.extend(token)
        elif token:
            words.append(token)
    return words


def check_vocabulary(words: Sequence[str]) -> tuple[str, ...]:
    """Return a vocabulary if its special tokens are in their places and its words are distinct."""
    if list(words[:3]) != [PAD, UNK, EOS] or words[-1] != BOS or len(set(words)) != len(words):
        raise UserError(
            f"a vocabulary is {PAD}, {UNK}, {EOS}, distinct words and {BOS}, "
            f"but this one is {list(words[:4])} ... {list(words[-2:])}"
        )
    return tuple(words)


def pad_ids(ids: Sequence[int], length: int) -> np.ndarray:
    """Return token ids with padding (0) at the end: (length,) int32."""
    encoded = np.zeros(length, dtype=np.int32)
    encoded[: len(ids)] = ids
    return encoded


class WordTokenizer:
    """Vocabulary of words; `<PAD>`, `<UNK>` and `<EOS>` are 0, 1 and 2, `<BOS>` is the last.

    Attributes:
        words: The vocabulary in index order.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = check_vocabulary(words)
        self._indices = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def build(cls, sentences: Iterable[str], min_count: int = 5) -> "WordTokenizer":
        """Collect the words that occur at least `min_count` times, the most frequent first."""
        counts = Counter(word for sentence in sentences for word in split_words(sentence))
        frequent = [(-count, word) for word, count in counts.items() if count >= min_count]
        return cls([PAD, UNK, EOS, *(word for _, word in sorted(frequent)), BOS])

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        write_text(path, json.dumps({"words": self.words}, ensure_ascii=False))

    @property
    def unknown_id(self) -> int | None:
        """Id of words outside the vocabulary."""
        return self._indices[UNK]

    @property
    def description(self) -> str:
        """Text that determines all ids."""
        return json.dumps({"words": self.words})

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WordTokenizer) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, sentence: str, length: int) -> np.ndarray:
        """Return the token ids of a sentence: BOS, words, EOS, PAD; (length,) int32.

        Words that exceed the length are dropped; EOS is always kept.
        """
        unknown = self._indices[UNK]
        ids = [self._indices[BOS]]
        ids.extend(self._indices.get(word, unknown) for word in split_words(sentence)[:length])
        ids = [*ids[: length - 1], self._indices[EOS]]
        return pad_ids(ids, length)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of token ids, joined by spaces, without PAD, BOS and EOS."""
        words = (self.words[i] for i in ids)
        return " ".join(word for word in words if word not in (PAD, EOS, BOS))
