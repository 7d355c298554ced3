"""Caption metrics: BLEU, ROUGE-L and CIDEr-D in Python, METEOR and SPICE through Java.

The definitions, including their small constants, are those of the COCO caption evaluation
(tylin/coco-caption; pip: pycocoevalcap); the first three equal its results to 1e-9.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from clipnav.envs.metrics.bleu import coco_bleu
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.captioning.cider import CiderD
from clipnav.vl_tasks.text.java import java_ready, meteor, spice
from clipnav.vl_tasks.text.ptb import CaptionTokenizer, tokenize

Key = TypeVar("Key", bound=Hashable)

_BETA = 1.2  # weight of recall in ROUGE-L


@dataclass(frozen=True)
class CaptionScores:
    """Scores of a set of captions.

    Attributes:
        scores: Scores by name: "Bleu_1" to "Bleu_4", "ROUGE_L", "CIDEr-D", and "METEOR" and
            "SPICE" if computed. CIDEr-D is 0..10 (papers print it times 100), the others 0..1.
        tokenizer: Name of the tokenizer, which affects the scores.
        images: Number of scored captions.
    """

    scores: dict[str, float]
    tokenizer: str
    images: int


def evaluate_captions(
    predictions: Mapping[Key, str],
    references: Mapping[Key, Sequence[str]],
    tokenizer: CaptionTokenizer = "auto",
    with_meteor: bool | None = None,
    with_spice: bool = False,
) -> CaptionScores:
    """Tokenise and score captions."""
    _check(predictions, references)
    given = {key: [text] for key, text in predictions.items()}
    words, name = tokenize(given, tokenizer)
    reference_words, _ = tokenize({key: references[key] for key in predictions}, tokenizer)
    captions = {key: texts[0] for key, texts in words.items()}
    scores = score_captions(captions, reference_words)
    if java_ready() if with_meteor is None else with_meteor:
        scores["METEOR"] = meteor(list(captions.values()), list(reference_words.values()))[-1]
    if with_spice:
        keys = {str(key): key for key in captions}
        texts = {text_key: captions[key] for text_key, key in keys.items()}
        values = spice(texts, {text_key: reference_words[key] for text_key, key in keys.items()})
        scores["SPICE"] = float(np.nanmean(values))
    return CaptionScores(scores, name, len(captions))


def score_captions(
    predictions: Mapping[Key, str], references: Mapping[Key, Sequence[str]]
) -> dict[str, float]:
    """Score tokenised captions.

    Args:
        predictions: One caption per image, words separated by single spaces.
        references: Reference captions of each image in the same form; other images are ignored.

    Returns:
        "Bleu_1" to "Bleu_4", "ROUGE_L" (0..1) and "CIDEr-D" (0..10) with the document frequencies
        of these references.

    Raises:
        UserError: There is no caption, or an image has no reference.
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
    """Compute ROUGE-L: F-score of the longest common subsequence, best values over references.

    Text is split at single spaces, so an empty caption is one empty word, as in `rouge.py`.
    """
    words, others = caption.split(" "), [reference.split(" ") for reference in references]
    common = [_common_subsequence(words, other) for other in others]
    precision = max(common) / len(words)
    recall = max(n / len(other) for n, other in zip(common, others, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def cider_d(captions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Compute CIDEr-D (N,) of captions with the document frequencies of these references."""
    numbers: dict[str, int] = {}
    ours = [_numbered(caption, numbers) for caption in captions]
    theirs = [_numbered(text, numbers) for given in references for text in given]
    first = np.concatenate([[0], np.cumsum([len(given) for given in references])])
    statistics = CiderD.build(_padded(theirs), first, len(numbers) + 1)
    return statistics.scores(np.arange(len(captions)), _padded(ours))


def _check(predictions: Mapping[Key, str], references: Mapping[Key, Sequence[str]]) -> None:
    if not predictions:
        raise UserError("no caption to score")
    without = [key for key in predictions if not references.get(key)]
    if without:
        raise UserError(
            f"{len(without)} of {len(predictions)} images have no reference, such as {without[0]}; "
            "add references or remove the captions"
        )


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    best = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for column, other in enumerate(second, start=1):
            above = best[column]
            best[column] = diagonal + 1 if word == other else max(above, best[column - 1])
            diagonal = above
    return best[-1]


def _numbered(text: str, numbers: dict[str, int]) -> list[int]:
    return [numbers.setdefault(word, len(numbers) + 1) for word in text.split()]


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    padded = np.zeros((len(rows), max(1, *(len(row) for row in rows), 1)), np.int64)
    for line, row in zip(padded, rows, strict=True):
        line[: len(row)] = row
    return padded
