"""BLEU of a corpus (Papineni et al. 2002), without smoothing or as coco-caption computes it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clipnav.storage.errors import UserError

Words = Sequence[str]

# Constants of coco-caption (`bleu_scorer.py`) that keep its divisions and roots finite.
_COCO_TINY, _COCO_SMALL = 1e-15, 1e-9


@dataclass(frozen=True)
class MatchCounts:
    """Counts over a corpus that BLEU is computed from.

    Attributes:
        matched: N-grams of the candidates that a reference contains, for n = 1, 2, ...
        possible: N-grams of the candidates, for n = 1, 2, ...
        length: Words of all candidates.
        closest: Words of the reference whose length is closest, added up over the candidates.
        shortest: Words of the shortest reference, added up over the candidates.
    """

    matched: list[int]
    possible: list[int]
    length: int
    closest: int
    shortest: int


def _count_matches(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]], order: int = 4
) -> MatchCounts:
    """Count the n-grams that candidates share with their references."""
    if len(candidates) != len(references) or not all(references):
        raise UserError(f"{len(candidates)} candidates, but references for {len(references)}")
    matched, possible = [0] * order, [0] * order
    length = closest = shortest = 0
    for candidate, others in zip(candidates, references, strict=True):
        length += len(candidate)
        # Of two references that are equally close, the shorter one counts.
        closest += min((abs(len(other) - len(candidate)), len(other)) for other in others)[1]
        shortest += min(map(len, others))
        for n in range(1, order + 1):
            # An n-gram counts at most as often as in the reference that has it most often.
            limit: Counter[tuple[str, ...]] = Counter()
            for other in others:
                limit |= _ngrams(other, n)
            counts = _ngrams(candidate, n)
            matched[n - 1] += (counts & limit).total()
            possible[n - 1] += counts.total()
    return MatchCounts(matched, possible, length, closest, shortest)


def corpus_bleu(
    candidates: Sequence[Words],
    references: Sequence[Sequence[Words]],
    length: Literal["closest", "shortest"] = "closest",
) -> float:
    """Return BLEU-4 in 0..1 over a whole corpus, without smoothing.

    Arguments and errors are those of `_count_matches`.

    Args:
        length: Length of the references in the brevity penalty: that of the reference whose length
            is closest (Papineni et al. 2002), or that of the shortest one (EnvDrop).
    """
    counts = _count_matches(candidates, references)
    if not all(counts.matched):
        return 0.0
    precision = sum(
        math.log(matched / possible)
        for matched, possible in zip(counts.matched, counts.possible, strict=True)
    )
    brevity = min(0.0, 1 - getattr(counts, length) / counts.length)
    return math.exp(precision / len(counts.matched) + brevity)


def coco_bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """Return BLEU-1 to BLEU-4 with the small constants of coco-caption.

    Arguments and errors are those of `_count_matches`. Results equal pycocoevalcap's to 1e-9.
    """
    counts = _count_matches(candidates, references)
    precisions = (np.array(counts.matched) + _COCO_TINY) / (np.array(counts.possible) + _COCO_SMALL)
    ratio = (counts.length + _COCO_TINY) / (counts.closest + _COCO_SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    products = np.cumprod(precisions)
    return [float(value) ** (1 / n) * brevity for n, value in enumerate(products, start=1)]


def _ngrams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))
