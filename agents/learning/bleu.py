"""BLEU of a corpus (Papineni et al. 2002), by which speakers are chosen."""

import math
from collections import Counter
from collections.abc import Sequence

Words = Sequence[str]


def corpus_bleu(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]], order: int = 4
) -> float:
    """BLEU in 0..1 over a whole corpus, without smoothing.

    Args:
        candidates: Words of each sentence to score.
        references: Words of the sentences that each may be like.
        order: Longest n-gram that counts.

    Raises:
        ValueError: Not every candidate has its references.
    """
    if len(candidates) != len(references) or not all(references):
        raise ValueError(f"{len(candidates)} candidates, but references for {len(references)}")
    found, possible = [0] * order, [0] * order
    length = wanted = 0
    for candidate, others in zip(candidates, references, strict=True):
        length += len(candidate)
        # The nearest reference counts for brevity, of two equally near ones the shorter.
        distances = [(abs(len(other) - len(candidate)), len(other)) for other in others]
        wanted += min(distances)[1]
        for n in range(1, order + 1):
            # No n-gram counts more often than in the reference that has it most often.
            limit: Counter[tuple[str, ...]] = Counter()
            for other in others:
                limit |= _ngrams(other, n)
            counts = _ngrams(candidate, n)
            found[n - 1] += (counts & limit).total()
            possible[n - 1] += counts.total()
    if not all(found):
        return 0.0
    precision = sum(math.log(hits / tries) for hits, tries in zip(found, possible, strict=True))
    brevity = min(0.0, 1 - wanted / length)
    return math.exp(precision / order + brevity)


def _ngrams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))
