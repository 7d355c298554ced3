"""CIDEr-D of integer captions: the reward of self-critical training, and the metric.

The formula is that of `cider_scorer.py` of tylin/coco-caption (pip: pycocoevalcap), which calls it
CIDEr: clipped tf-idf products over n-grams of one to four words, a Gaussian penalty (sigma 6) on
the difference of lengths, the mean over references, times ten. References are counted once; a
batch of captions is then scored by a few sorted look-ups.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage import atomic_write
from storage.messages import shortened
from vl_tasks.text.ngrams import ORDERS, GramTable

FORMAT = "clipnav reference statistics 1"
_SIGMA = 6.0
_SCALE = 10.0


@dataclass(frozen=True, eq=False)
class CiderD:
    """Statistics of the references of N images, R at most for each, and how to score with them.

    Attributes:
        table: Numbers of the G n-grams of all references.
        idf: (G,) float64: log N minus log of the number of images in whose references it occurs.
        unseen_idf: The same of an n-gram of no reference: log N.
        first: (N + 1,) int64: from which entry on those of each image lie.
        gram: (E,) n-grams of an image's references, ascending within the image.
        count: (E, R) how often it occurs in each reference.
        norm: (N, R, 4) float64 lengths of the tf-idf vectors.
        length: (N, R) bigrams in each reference.
        references: (N,) how many references each image has.
        end_counts: Whether the 0 that ends a caption is a word of it.
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
        """Count references.

        Args:
            captions: (C, T) integers, each caption ended by the first 0, if it has one.
            first: (N + 1,) from which row on the captions of each image lie.
            words: Integers lie in 0..words - 1.
            end_counts: Count the 0 that ends a caption as a word, as self-critical training does.

        Raises:
            ValueError: No image, an image without a caption, or an integer out of range.
        """
        per_image = np.diff(first)
        if len(per_image) == 0 or per_image.min() < 1 or first[-1] != len(captions):
            raise ValueError("CIDEr-D needs one reference or more for each image")
        _check_range(captions, words)
        lengths = caption_lengths(captions, end_counts)
        table = GramTable.build(captions, lengths, words)
        counted = table.count(captions, lengths)
        image = np.repeat(np.arange(len(per_image)), per_image)
        place = np.arange(len(captions)) - first[image]
        total = len(table)
        pairs, entry = np.unique(image[counted.caption] * total + counted.gram, return_inverse=True)
        count = np.zeros((len(pairs), per_image.max()), np.uint16)
        count[entry, place[counted.caption]] = np.minimum(counted.count, 65535)
        documents = np.bincount(pairs % total, minlength=total)
        idf = np.log(float(len(per_image))) - np.log(np.maximum(1.0, documents))
        weight = counted.count * idf[counted.gram]
        norm = np.zeros((len(per_image), count.shape[1], ORDERS))
        norm[image, place] = _norms(counted.caption, counted.order, weight, len(captions))
        length = np.zeros(norm.shape[:2])
        length[image, place] = np.maximum(lengths - 1, 0)
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
        """CIDEr-D of B captions.

        Args:
            images: (B,) which image each is of: its place in `first`.
            captions: (B, T) integers, each caption ended by the first 0, if it has one.

        Returns:
            (B,) float64, 0..10.

        Raises:
            ValueError: An integer out of range.
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
        entry, found = self._entries(images, counted.caption[known], counted.gram[known])
        at = np.flatnonzero(known)[found]
        theirs = self.count[entry] * idf[at, None]  # (M, R)
        product = np.minimum(weight[at, None], theirs) * theirs
        cell = counted.caption[at] * ORDERS + order[at]
        overlap = np.stack(
            [np.bincount(cell, column, len(captions) * ORDERS) for column in product.T], axis=-1
        ).reshape(len(captions), ORDERS, -1)
        return self._mean(images, overlap, norm, np.maximum(lengths - 1, 0))

    def rewards(self, images: np.ndarray, captions: np.ndarray) -> np.ndarray:
        """`scores` for training, which makes no sense if they are all 0.

        Raises:
            FloatingPointError: They are; says why.
        """
        scores = self.scores(images, captions)
        if not scores.any():
            reason = self._reason(captions)
            raise FloatingPointError(f"all {len(scores)} CIDEr-D rewards are 0: {reason}")
        return scores

    def _entries(
        self, images: np.ndarray, caption: np.ndarray, gram: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Entries of n-grams of captions among those of their images.

        Returns:
            (M,) entries, and (M,) which of the given n-grams they are; others have none.
        """
        total = len(self.idf)
        distinct, local = np.unique(images, return_inverse=True)
        sizes = self.first[distinct + 1] - self.first[distinct]
        start = np.cumsum(sizes) - sizes
        entries = np.arange(sizes.sum()) + np.repeat(self.first[distinct] - start, sizes)
        keys = np.repeat(np.arange(len(distinct)), sizes) * total + self.gram[entries]
        wanted = local[caption] * total + gram
        place = np.searchsorted(keys, wanted)
        inside = np.flatnonzero(place < len(keys))
        found = inside[keys[place[inside]] == wanted[inside]]
        return entries[place[found]], found

    def _mean(
        self, images: np.ndarray, overlap: np.ndarray, norm: np.ndarray, length: np.ndarray
    ) -> np.ndarray:
        """Scores (B,) from overlaps (B, 4, R), norms (B, 4) and lengths (B,) of captions."""
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
            return "the references are of a single image, so that no word tells it from others"
        counted = self.table.count(captions, lengths)
        if not np.isin(counted.gram, self.gram).any():
            return (
                "no word of the captions occurs in any reference; were the references numbered "
                "with another vocabulary?"
            )
        return (
            "no caption shares an n-gram with the references of its image; do the images and "
            "their references belong together, and has the captioner been trained before?"
        )

    def save(self, path: str | Path, vocabulary: str) -> None:
        """Write the statistics as safetensors, whole or not at all.

        Args:
            path: The file.
            vocabulary: Something that tells the vocabulary, for `load` to compare.
        """
        from safetensors.numpy import save_file

        tensors = {
            "bigrams": self.table.bigrams,
            "longer": self.table.longer,
            **{name: getattr(self, name) for name in _ARRAYS},
        }
        metadata = {
            "format": FORMAT,
            "words": str(self.table.words),
            "end_counts": str(int(self.end_counts)),
            "vocabulary": vocabulary,
        }
        with atomic_write(path) as beside:
            save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, beside, metadata)

    @classmethod
    def load(cls, path: str | Path, vocabulary: str) -> "CiderD":
        """Read statistics that `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or of another vocabulary.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except SafetensorError as error:
            raise ValueError(f"{path}: damaged ({error}); delete it, it is made again") from error
        if metadata.get("format") != FORMAT or metadata.get("vocabulary") != vocabulary:
            raise ValueError(
                f"{path}: not the reference statistics of this vocabulary; delete it, it is made "
                "again"
            )
        try:
            return cls(
                table=GramTable(int(metadata["words"]), tensors["bigrams"], tensors["longer"]),
                unseen_idf=float(np.log(float(len(tensors["references"])))),
                end_counts=metadata["end_counts"] == "1",
                **{name: tensors[name] for name in _ARRAYS},
            )
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path}: damaged (no {shortened(str(error))}); delete it, it is made again"
            ) from error


_ARRAYS = ("idf", "first", "gram", "count", "norm", "length", "references")


def caption_lengths(captions: np.ndarray, end_counts: bool = False) -> np.ndarray:
    """(C,) words of captions (C, T), each ended by the first 0, if it has one."""
    ends = np.concatenate([captions == 0, np.ones((len(captions), 1), bool)], axis=1)
    length = ends.argmax(1)
    return np.minimum(length + 1, captions.shape[1]) if end_counts else length


def _check_range(captions: np.ndarray, words: int) -> None:
    if captions.size and not 0 <= captions.min() <= captions.max() < words:
        raise ValueError(
            f"captions hold integers from {captions.min()} to {captions.max()}, but the "
            f"vocabulary of the references has {words}"
        )


def _norms(caption: np.ndarray, order: np.ndarray, weight: np.ndarray, captions: int) -> np.ndarray:
    """(C, 4) lengths of tf-idf vectors by order of the n-grams."""
    squares = np.bincount(caption * ORDERS + order, weight**2, captions * ORDERS)
    return np.sqrt(squares).reshape(captions, ORDERS)
