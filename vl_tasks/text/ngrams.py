"""N-grams of integer captions, counted exactly and without a Python loop over them."""

from dataclasses import dataclass

import numpy as np

ORDERS = 4
_BIGRAMS = np.int64(1) << 31  # more of them are not told apart
_FOUR = np.int64(1) << 62  # marks the keys of four words


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each n-gram occurs in each of a batch of captions: E entries.

    Attributes:
        caption: (E,) int64, ascending.
        gram: (E,) int64 numbers of n-grams, ascending within a caption.
        order: (E,) int64 words of the n-gram less one: 0..3.
        count: (E,) int64.
    """

    caption: np.ndarray
    gram: np.ndarray
    order: np.ndarray
    count: np.ndarray


@dataclass(frozen=True, eq=False)
class GramTable:
    """Numbers of the n-grams of a set of references, n from 1 to 4.

    A word's number is the word. Bigrams follow in the order of their keys, (word, word), and then
    what is longer, by (number of the first bigram, third word) and (number of the first bigram,
    number of the last). Keys are exact, so that no two n-grams are taken for one.

    Attributes:
        words: Words lie in 0..words - 1.
        bigrams: Sorted int64 keys of the bigrams.
        longer: Sorted int64 keys of n-grams of three and four words.
    """

    words: int
    bigrams: np.ndarray
    longer: np.ndarray

    @classmethod
    def build(cls, captions: np.ndarray, lengths: np.ndarray, words: int) -> "GramTable":
        """Collect the n-grams of captions (C, T) of which the first `lengths` words count."""
        flat = _Flat.of(captions, lengths)
        bigrams = np.unique(flat.pairs(words))
        number = np.searchsorted(bigrams, flat.pairs(words))
        return cls(words, bigrams, np.unique(flat.longer(number)))

    def __len__(self) -> int:
        """How many numbers there are."""
        return self.words + len(self.bigrams) + len(self.longer)

    def count(self, captions: np.ndarray, lengths: np.ndarray) -> Counts:
        """Count the n-grams of captions.

        Those that the table lacks get numbers from its length on, valid for this call.

        Args:
            captions: (C, T) words.
            lengths: (C,) how many of them count.
        """
        flat = _Flat.of(captions, lengths)
        pair, new_pairs = _numbers(flat.pairs(self.words), self.bigrams)
        longer, new_longer = _numbers(flat.longer(pair), self.longer)
        # Of what is new, bigrams come first.
        known = len(self)
        pair = np.where(
            pair < len(self.bigrams), pair + self.words, pair + known - len(self.bigrams)
        )
        longer += self.words + len(self.bigrams)
        longer[longer >= known] += new_pairs
        total = known + new_pairs + new_longer
        row = np.concatenate([flat.row, *(flat.row[place] for place in flat.places)])
        keys = row * total + np.concatenate([flat.words, pair, longer])
        keys, index, count = np.unique(keys, return_index=True, return_counts=True)
        ends = np.cumsum([len(flat.words), *(len(place) for place in flat.places)])
        order = np.searchsorted(ends, index, side="right")
        return Counts(keys // total, keys % total, order, count)


@dataclass(frozen=True, eq=False)
class _Flat:
    """The L words of all captions in a row.

    Attributes:
        words: (L,) int64.
        row: (L,) int64: the caption of each.
        places: Where two, three and four words of a caption begin.
    """

    words: np.ndarray
    row: np.ndarray
    places: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, captions: np.ndarray, lengths: np.ndarray) -> "_Flat":
        row, column = np.nonzero(np.arange(captions.shape[1]) < lengths[:, None])
        left = lengths[row] - column
        two, three, four = (np.flatnonzero(left >= n) for n in range(2, ORDERS + 1))
        return cls(captions[row, column].astype(np.int64), row, (two, three, four))

    def pairs(self, words: int) -> np.ndarray:
        """Keys of the bigrams."""
        place = self.places[0]
        return self.words[place] * words + self.words[place + 1]

    def longer(self, pair: np.ndarray) -> np.ndarray:
        """Keys of three words, then of four; `pair` has the numbers of the bigrams from 0 on."""
        two, three, four = self.places
        number = np.zeros(len(self.words), np.int64)
        number[two] = pair
        keys = number[three] * _BIGRAMS + self.words[three + 2]
        return np.concatenate([keys, _FOUR + number[four] * _BIGRAMS + number[four + 2]])


def _numbers(keys: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, int]:
    """Places of keys among sorted known ones; new ones follow in their order.

    Returns:
        Numbers (of the shape of `keys`), and how many distinct keys are new.
    """
    unique, inverse = np.unique(keys, return_inverse=True)
    number = np.searchsorted(known, unique)
    inside = np.minimum(number, len(known) - 1)
    new = np.flatnonzero(known[inside] != unique) if len(known) else np.arange(len(unique))
    number[new] = len(known) + np.arange(len(new))
    return number[inverse], len(new)
