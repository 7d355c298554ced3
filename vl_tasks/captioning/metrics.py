"""Scores of captions: BLEU, ROUGE-L and CIDEr-D of our own, METEOR and SPICE through Java.

The definitions, with their small constants, are those of the COCO caption evaluation
(tylin/coco-caption; pip: pycocoevalcap), whose results the first three repeat to 1e-9.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from envs.metrics.bleu import coco_bleu
from vl_tasks.captioning.cider import CiderD
from vl_tasks.text.java import java_ready, meteor, spice
from vl_tasks.text.ptb import Tokenizer, tokenize

Key = TypeVar("Key", bound=Hashable)

BETA = 1.2  # weight of recall in ROUGE-L


@dataclass(frozen=True)
class CaptionScores:
    """Scores of a set of captions.

    Attributes:
        scores: By name: "Bleu_1" to "Bleu_4", "ROUGE_L", "CIDEr-D", and "METEOR" and "SPICE" if
            computed. CIDEr-D is 0..10 (papers print a hundred times that), the others 0..1.
        tokenizer: What cut the captions into words, for it changes the scores.
        images: How many captions were scored.
    """

    scores: dict[str, float]
    tokenizer: str
    images: int


def evaluate_captions(
    predictions: Mapping[Key, str],
    references: Mapping[Key, Sequence[str]],
    tokenizer: Tokenizer = "auto",
    with_meteor: bool | None = None,
    with_spice: bool = False,
) -> CaptionScores:
    """Score captions as people write them.

    Args:
        predictions: A caption for each picture.
        references: What people wrote of it.
        tokenizer: "java" is the official one, "auto" takes it where Java and pycocoevalcap are.
        with_meteor: Compute METEOR; None does so where Java and pycocoevalcap are.
        with_spice: Compute SPICE, which needs a parser besides (see `captioning.java.spice`).

    Raises:
        ValueError: The pictures of the two differ, or one has no reference.
        FileNotFoundError: Something that Java needs is missing.
        ChildProcessError: Java fails.
    """
    _check(predictions, references)
    given = {key: [text] for key, text in predictions.items()}
    words, name = tokenize(given, tokenizer)
    theirs, _ = tokenize({key: references[key] for key in predictions}, tokenizer)
    ours = {key: texts[0] for key, texts in words.items()}
    scores = score_captions(ours, theirs)
    if java_ready() if with_meteor is None else with_meteor:
        scores["METEOR"] = meteor(list(ours.values()), list(theirs.values()))[-1]
    if with_spice:
        named = {str(key): key for key in ours}
        texts = {name: ours[key] for name, key in named.items()}
        found = spice(texts, {name: theirs[key] for name, key in named.items()})
        scores["SPICE"] = float(np.nanmean(found))
    return CaptionScores(scores, name, len(ours))


def score_captions(
    predictions: Mapping[Key, str], references: Mapping[Key, Sequence[str]]
) -> dict[str, float]:
    """Scores of captions that are cut into words already.

    Args:
        predictions: A caption for each picture, words with single spaces between.
        references: The same of what people wrote; other pictures are not looked at.

    Returns:
        "Bleu_1" to "Bleu_4", "ROUGE_L" (0..1) and "CIDEr-D" (0..10), whose document frequencies
        are those of these references.

    Raises:
        ValueError: No caption, or a picture without a reference.
    """
    _check(predictions, references)
    hypotheses = list(predictions.values())
    theirs = [list(references[key]) for key in predictions]
    pairs = list(zip(hypotheses, theirs, strict=True))
    bleu = coco_bleu(
        [caption.split() for caption in hypotheses],
        [[text.split() for text in given] for given in theirs],
    )
    return {
        **{f"Bleu_{n}": value for n, value in enumerate(bleu, start=1)},
        "ROUGE_L": sum(rouge_l(caption, given) for caption, given in pairs) / len(pairs),
        "CIDEr-D": float(cider_d(hypotheses, theirs).mean()),
    }


def rouge_l(caption: str, references: Sequence[str]) -> float:
    """F-score of the longest common subsequence, best precision and best recall over references.

    Words are what lies between spaces, so that an empty caption is one empty word, as in
    `rouge.py`.
    """
    words, others = caption.split(" "), [reference.split(" ") for reference in references]
    common = [_common_subsequence(words, other) for other in others]
    precision = max(common) / len(words)
    recall = max(n / len(other) for n, other in zip(common, others, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def cider_d(captions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """CIDEr-D (N,) of captions, with the document frequencies of these references."""
    numbers: dict[str, int] = {}
    ours = [_numbered(caption, numbers) for caption in captions]
    theirs = [_numbered(text, numbers) for given in references for text in given]
    first = np.concatenate([[0], np.cumsum([len(given) for given in references])])
    statistics = CiderD.build(_padded(theirs), first, len(numbers) + 1)
    return statistics.scores(np.arange(len(captions)), _padded(ours))


def _check(predictions: Mapping[Key, str], references: Mapping[Key, Sequence[str]]) -> None:
    if not predictions:
        raise ValueError("no caption to score")
    without = [key for key in predictions if not references.get(key)]
    if without:
        raise ValueError(
            f"picture {without[0]!r} has no reference; nor have {len(without) - 1} others"
        )


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    best = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            above = best[place]
            best[place] = diagonal + 1 if word == other else max(above, best[place - 1])
            diagonal = above
    return best[-1]


def _numbered(text: str, numbers: dict[str, int]) -> list[int]:
    return [numbers.setdefault(word, len(numbers) + 1) for word in text.split()]


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    padded = np.zeros((len(rows), max(1, *(len(row) for row in rows), 1)), np.int64)
    for line, row in zip(padded, rows, strict=True):
        line[: len(row)] = row
    return padded
