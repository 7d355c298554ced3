"""CIDEr-D of integer captions: the metric, and the reward of self-critical training.

The formula is that of `cider_scorer.py` of tylin/coco-caption (pip: pycocoevalcap), which calls it
CIDEr: clipped tf-idf products over n-grams of one to four words, a Gaussian penalty (sigma 6) on
the length difference, averaged over references, times ten. The n-grams of the references are
counted once; a batch of captions is then scored by sorted look-ups.
"""

from dataclasses import dataclass

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.text.ngrams import ORDERS, GramTable

_SIGMA = 6.0
_SCALE = 10.0


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
        norm = np.zeros((len(per_image), count.shape[1], ORDERS))
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
        cell = counted.caption[at] * ORDERS + order[at]
        overlap = np.stack(
            [np.bincount(cell, column, len(captions) * ORDERS) for column in product.T], axis=-1
        ).reshape(len(captions), ORDERS, -1)
        return self._mean(images, overlap, norm, np.maximum(lengths - 1, 0))

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

    def _mean(
        self, images: np.ndarray, overlap: np.ndarray, norm: np.ndarray, length: np.ndarray
    ) -> np.ndarray:
        """Compute scores (B,) from overlaps (B, 4, R), norms (B, 4) and lengths (B,)."""
        both = norm[:, :, None] * self.norm[images].transpose(0, 2, 1)
        similarity = np.divide(overlap, both, out=np.zeros_like(both), where=both != 0)
        penalty = np.exp(-((length[:, None] - self.length[images]) ** 2) / (2 * _SIGMA**2))
        total = (similarity.mean(1) * penalty).sum(1)
        return _SCALE * total / self.references[images]

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
    squares = np.bincount(caption * ORDERS + order, weight**2, captions * ORDERS)
    return np.sqrt(squares).reshape(captions, ORDERS)
