"""CIDEr-D of integer captions: the metric, and the reward of self-critical training.

The formula is that of `cider_scorer.py` of tylin/coco-caption (pip: pycocoevalcap), which calls it
CIDEr: clipped tf-idf products over n-grams of one to four words, a Gaussian penalty (sigma 6) on
the length difference, averaged over references, times ten. The n-grams of the references are
counted once; a batch of captions is then scored by sorted look-ups.
"""

from dataclasses import dataclass

import numpy as np

from clipnav.storage.errors import UserError

_ORDERS = 4
_MAX_BIGRAMS = np.int64(1) << 31  # keys of longer n-grams are unique up to this number of bigrams
_FOUR = np.int64(1) << 62  # bit that marks the keys of four words
_SIGMA = 6.0
_SCALE = 10.0


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
        two, three, four = (np.flatnonzero(left >= n) for n in range(2, _ORDERS + 1))
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


@dataclass(frozen=True, eq=False)
class CiderD:
    """CIDEr-D scorer: n-gram statistics of the references of N images, at most R per image.

    Attributes:
        table: Ids of the G n-grams of all references.
        idf: (G,) float64 inverse document frequencies: log N minus the log of the number of images
            whose references contain the n-gram.
        unseen_idf: Inverse document frequency of an n-gram of no reference: log N.
        first: (N + 1,) int64 offsets of the entries of each image.
        gram: (E,) n-gram of each entry, ascending within an image.
        count: (E, R) number of occurrences in each reference.
        norm: (N, R, 4) float64 norms of the tf-idf vectors.
        length: (N, R) number of bigrams in each reference.
        references: (N,) number of references of each image.
        end_counts: Whether the 0 that ends a caption counts as a word.
    """

    table: GramTable
    idf: np.ndarray
    unseen_idf: float
    first: np.ndarray
    gram: np.ndarray
    count: np.ndarray
    norm: np.ndarray
    length: np.ndarray
    references: np.ndarray
    end_counts: bool

    @classmethod
    def build(
        cls, captions: np.ndarray, first: np.ndarray, words: int, end_counts: bool = False
    ) -> "CiderD":
        """Count the n-grams of reference captions.

        Args:
            captions: (C, T) token ids; the first 0, if any, ends a caption.
        """
        per_image = np.diff(first)
        if len(per_image) == 0 or per_image.min() < 1 or first[-1] != len(captions):
            raise UserError("CIDEr-D requires at least one reference for each image")
        _check_range(captions, words)
        lengths = caption_lengths(captions, end_counts)
        table = GramTable.build(captions, lengths, words)
        counted = table.count(captions, lengths)
        image = np.repeat(np.arange(len(per_image)), per_image)
        index = np.arange(len(captions)) - first[image]
        total = len(table)
        pairs, entry = np.unique(image[counted.caption] * total + counted.gram, return_inverse=True)
        count = np.zeros((len(pairs), per_image.max()), np.uint16)
        count[entry, index[counted.caption]] = np.minimum(counted.count, 65535)
        documents = np.bincount(pairs % total, minlength=total)
        idf = np.log(float(len(per_image))) - np.log(np.maximum(1.0, documents))
        weight = counted.count * idf[counted.gram]
        norm = np.zeros((len(per_image), count.shape[1], _ORDERS))
        norm[image, index] = _norms(counted.caption, counted.order, weight, len(captions))
        length = np.zeros(norm.shape[:2])
        length[image, index] = np.maximum(lengths - 1, 0)
        return cls(
            table=table,
            idf=idf,
            unseen_idf=float(np.log(float(len(per_image)))),
            first=np.searchsorted(pairs // total, np.arange(len(per_image) + 1)),
            gram=pairs % total,
            count=count,
            norm=norm,
            length=length,
            references=per_image,
            end_counts=end_counts,
        )

    def scores(self, images: np.ndarray, captions: np.ndarray) -> np.ndarray:
        """Compute the CIDEr-D scores of B captions.

        Args:
            images: (B,) index of the image of each caption.
            captions: (B, T) token ids; the first 0, if any, ends a caption.

        Returns:
            (B,) float64 scores, 0..10.
        """
        _check_range(captions, self.table.words)
        lengths = caption_lengths(captions, self.end_counts)
        counted = self.table.count(captions, lengths)
        order = counted.order
        known = counted.gram < len(self.idf)
        idf = np.full(len(counted.gram), self.unseen_idf)
        idf[known] = self.idf[counted.gram[known]]
        weight = counted.count * idf
        norm = _norms(counted.caption, order, weight, len(captions))
        entry, matched = self._entries(images, counted.caption[known], counted.gram[known])
        at = np.flatnonzero(known)[matched]
        reference_weight = self.count[entry] * idf[at, None]  # (M, R)
        product = np.minimum(weight[at, None], reference_weight) * reference_weight
        cell = counted.caption[at] * _ORDERS + order[at]
        overlap = np.stack(
            [np.bincount(cell, column, len(captions) * _ORDERS) for column in product.T], axis=-1
        ).reshape(len(captions), _ORDERS, -1)
        both = norm[:, :, None] * self.norm[images].transpose(0, 2, 1)  # (B, 4, R)
        similarity = np.divide(overlap, both, out=np.zeros_like(both), where=both != 0)
        length = np.maximum(lengths - 1, 0)
        penalty = np.exp(-((length[:, None] - self.length[images]) ** 2) / (2 * _SIGMA**2))
        total = (similarity.mean(1) * penalty).sum(1)
        return _SCALE * total / self.references[images]

    def rewards(self, images: np.ndarray, captions: np.ndarray) -> np.ndarray:
        """Compute the scores as rewards of self-critical training."""
        scores = self.scores(images, captions)
        if not scores.any():
            reason = self._reason(captions)
            raise FloatingPointError(f"all {len(scores)} CIDEr-D rewards are 0: {reason}")
        return scores

    def _entries(
        self, images: np.ndarray, caption: np.ndarray, gram: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Look up n-grams of captions among the entries of their images.

        Returns:
            (M,) entries, and (M,) indices of the n-grams that have one.
        """
        total = len(self.idf)
        distinct, local = np.unique(images, return_inverse=True)
        sizes = self.first[distinct + 1] - self.first[distinct]
        start = np.cumsum(sizes) - sizes
        entries = np.arange(sizes.sum()) + np.repeat(self.first[distinct] - start, sizes)
        keys = np.repeat(np.arange(len(distinct)), sizes) * total + self.gram[entries]
        wanted = local[caption] * total + gram
        position = np.searchsorted(keys, wanted)
        inside = np.flatnonzero(position < len(keys))
        matched = inside[keys[position[inside]] == wanted[inside]]
        return entries[position[matched]], matched

    def _reason(self, captions: np.ndarray) -> str:
        lengths = caption_lengths(captions, self.end_counts)
        if not (captions[:, :1] != 0).any():
            return "all captions are empty"
        if self.unseen_idf == 0:
            return (
                "all references belong to a single image, so every inverse document "
                "frequency is 0; train on more images"
            )
        counted = self.table.count(captions, lengths)
        if not np.isin(counted.gram, self.gram).any():
            return (
                "no word of the captions occurs in any reference; check that captions and "
                "references do not use another vocabulary each"
            )
        return (
            "no caption shares an n-gram with the references of its image; check that "
            "images and references match and that the captioner was trained first"
        )


def caption_lengths(captions: np.ndarray, end_counts: bool = False) -> np.ndarray:
    """Return the number of words (C,) of captions (C, T); the first 0, if any, ends a caption."""
    ends = np.concatenate([captions == 0, np.ones((len(captions), 1), bool)], axis=1)
    length = ends.argmax(1)
    return np.minimum(length + 1, captions.shape[1]) if end_counts else length


def _check_range(captions: np.ndarray, words: int) -> None:
    if captions.size and not 0 <= captions.min() <= captions.max() < words:
        raise UserError(
            f"captions contain token ids from {captions.min()} to {captions.max()}, but the "
            f"vocabulary of the references has {words}; use the same vocabulary for both"
        )


def _norms(caption: np.ndarray, order: np.ndarray, weight: np.ndarray, captions: int) -> np.ndarray:
    """Return the norms (C, 4) of the tf-idf vectors by n-gram order."""
    squares = np.bincount(caption * _ORDERS + order, weight**2, captions * _ORDERS)
    return np.sqrt(squares).reshape(captions, _ORDERS)
