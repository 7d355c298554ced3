"""Exact n-gram counts of captions as token ids, vectorised with numpy."""

from dataclasses import dataclass

import numpy as np

ORDERS = 4
_MAX_BIGRAMS = np.int64(1) << 31  # keys of longer n-grams are unique up to this number of bigrams
_FOUR = np.int64(1) << 62  # bit that marks the keys of four words


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of the n-grams of a batch of captions: one of E entries per caption and n-gram.

    Attributes:
        caption: (E,) int64 index of the caption, ascending.
        gram: (E,) int64 ids of n-grams, ascending within a caption.
        order: (E,) int64 n - 1, from 0 to 3.
        count: (E,) int64 number of occurrences.
    """

    caption: np.ndarray
    gram: np.ndarray
    order: np.ndarray
    count: np.ndarray


@dataclass(frozen=True, eq=False)
class GramTable:
    """Ids of the n-grams of a set of references, n from 1 to 4.

    The id of a unigram is its token id. The ids of bigrams follow in the order of their keys,
    (word, word), then those of trigrams with keys (index of the first bigram, third word), then
    those of 4-grams with keys (index of the first bigram, index of the last). Keys are exact, so
    that n-grams never collide.

    Attributes:
        words: Number of token ids.
        bigrams: Sorted int64 keys of the bigrams.
        longer: Sorted int64 keys of the trigrams and 4-grams.
    """

    words: int
    bigrams: np.ndarray
    longer: np.ndarray

    @classmethod
    def build(cls, captions: np.ndarray, lengths: np.ndarray, words: int) -> "GramTable":
        """Collect the n-grams of the first `lengths` words of captions (C, T)."""
        flat = _Flat.of(captions, lengths)
        bigrams = np.unique(flat.pairs(words))
        number = np.searchsorted(bigrams, flat.pairs(words))
        return cls(words, bigrams, np.unique(flat.longer(number)))

    def __len__(self) -> int:
        """Number of ids."""
        return self.words + len(self.bigrams) + len(self.longer)

    def count(self, captions: np.ndarray, lengths: np.ndarray) -> Counts:
        """Count the n-grams of captions.

        N-grams that the table lacks get ids from its length on, valid for this call only.

        Args:
            captions: (C, T) token ids.
            lengths: (C,) number of words.
        """
        flat = _Flat.of(captions, lengths)
        pair, new_pairs = _numbers(flat.pairs(self.words), self.bigrams)
        longer, new_longer = _numbers(flat.longer(pair), self.longer)
        # New bigrams precede new trigrams and 4-grams.
        known = len(self)
        pair = np.where(
            pair < len(self.bigrams), pair + self.words, pair + known - len(self.bigrams)
        )
        longer += self.words + len(self.bigrams)
        longer[longer >= known] += new_pairs
        total = known + new_pairs + new_longer
        row = np.concatenate([flat.row, *(flat.row[start] for start in flat.starts)])
        keys = row * total + np.concatenate([flat.words, pair, longer])
        keys, index, count = np.unique(keys, return_index=True, return_counts=True)
        ends = np.cumsum([len(flat.words), *(len(start) for start in flat.starts)])
        order = np.searchsorted(ends, index, side="right")
        return Counts(keys // total, keys % total, order, count)


@dataclass(frozen=True, eq=False)
class _Flat:
    """Words of all captions, concatenated.

    Attributes:
        words: (L,) int64 token ids.
        row: (L,) int64 caption of each word.
        starts: Indices at which bigrams, trigrams and 4-grams begin.
    """

    words: np.ndarray
    row: np.ndarray
    starts: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, captions: np.ndarray, lengths: np.ndarray) -> "_Flat":
        row, column = np.nonzero(np.arange(captions.shape[1]) < lengths[:, None])
        left = lengths[row] - column
        two, three, four = (np.flatnonzero(left >= n) for n in range(2, ORDERS + 1))
        return cls(captions[row, column].astype(np.int64), row, (two, three, four))

    def pairs(self, words: int) -> np.ndarray:
        """Return the keys of the bigrams."""
        start = self.starts[0]
        return self.words[start] * words + self.words[start + 1]

    def longer(self, pair: np.ndarray) -> np.ndarray:
        """Return the keys of trigrams, then of 4-grams, from the bigram indices `pair`."""
        two, three, four = self.starts
        number = np.zeros(len(self.words), np.int64)
        number[two] = pair
        keys = number[three] * _MAX_BIGRAMS + self.words[three + 2]
        return np.concatenate([keys, _FOUR + number[four] * _MAX_BIGRAMS + number[four + 2]])


def _numbers(keys: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the indices of keys in sorted known keys; new keys follow in sorted order."""
    unique, inverse = np.unique(keys, return_inverse=True)
    number = np.searchsorted(known, unique)
    inside = np.minimum(number, len(known) - 1)
    new = np.flatnonzero(known[inside] != unique) if len(known) else np.arange(len(unique))
    number[new] = len(known) + np.arange(len(new))
    return number[inverse], len(new)
