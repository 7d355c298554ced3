"""Measure how easily a classifier tells generated instructions from people's, and by which words.

The classifier is naive Bayes over the presence of features in a text (Bernoulli, Laplace
smoothing), fitted on half of the houses of both sides and tested on the other half, and vice versa.
An accuracy of 50 % means that the two sides cannot be told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from clipnav.envs.houses.language.grammar import tokens_of
from clipnav.storage.errors import UserError

# A record of an annotation file in R2R's form, with all its fields.
Record = Mapping[str, Any]

_RAREST = 5  # texts that must have a feature before the classifier may use it


@dataclass(frozen=True)
class GiveAway:
    """A feature, and the share of the texts of either side that have it, between 0 and 1."""

    feature: str
    ours: float
    theirs: float


@dataclass(frozen=True)
class Distinction:
    """How well naive Bayes tells two sets of texts apart.

    Attributes:
        texts: Texts of each side that were compared; the larger side is a sample.
        words: Accuracy by words alone.
        pairs: Accuracy by words, punctuation and pairs of both.
        give_aways: Features that tell most, by information in bits a text, the strongest first.
    """

    texts: int
    words: float
    pairs: float
    give_aways: tuple[GiveAway, ...]


def tell_apart(
    ours: Sequence[Record], theirs: Sequence[Record], count: int, seed: int
) -> Distinction:
    """Compare the instructions of two sets of records.

    Args:
        count: Number of give-aways to return.
        seed: Seed of the sample of the larger side and of the halves of the houses.

    Raises:
        UserError: A side has texts of fewer than two houses.
    """
    rng = np.random.default_rng(seed)
    sides = [_texts_by_half(records, rng) for records in (ours, theirs)]
    size = min(len(texts) for side in sides for texts in side)
    if not size:
        raise UserError("texts of at least two houses are needed on both sides")
    halves = [[_sample(side[half], size, rng) for side in sides] for half in (0, 1)]
    accuracies = {}
    for name in ("words", "pairs"):
        has_pairs = name == "pairs"
        features = [[[_features(text, has_pairs) for text in part] for part in h] for h in halves]
        tests = [_accuracy(*features), _accuracy(*reversed(features))]
        accuracies[name] = float(np.mean(tests))
    both = [[*features[0][side], *features[1][side]] for side in (0, 1)]
    return Distinction(2 * size, **accuracies, give_aways=tuple(_strongest(*both)[:count]))


def _texts_by_half(records: Sequence[Record], rng: np.random.Generator) -> list[list[str]]:
    """Return the texts of one half of the houses, and those of the other half."""
    scans: list[str] = sorted({record["scan"] for record in records})
    first = {scans[number] for number in rng.permutation(len(scans)).tolist()[::2]}
    halves: list[list[str]] = [[], []]
    for record in records:
        halves[record["scan"] not in first] += record["instructions"]
    return halves


def _sample(texts: Sequence[str], size: int, rng: np.random.Generator) -> list[str]:
    numbers: list[int] = rng.permutation(len(texts)).tolist()
    return [texts[number] for number in numbers[:size]]


def _features(text: str, has_pairs: bool) -> set[str]:
    tokens = tokens_of(text)
    if not has_pairs:
        return {token for token in tokens if token.isalnum()}
    return {*tokens, *(" ".join(pair) for pair in pairwise(tokens))}


def _accuracy(training: list[list[set[str]]], test: list[list[set[str]]]) -> float:
    """Return the share of the test texts whose side is found; a tie counts as half."""
    counts, sizes = _counted(training)
    known = sorted(name for name in set().union(*counts) if sum(c[name] for c in counts) >= _RAREST)
    index = {name: number for number, name in enumerate(known)}
    shares = [
        np.array([(count[name] + 1) / (size + 2) for name in known])
        for count, size in zip(counts, sizes, strict=True)
    ]
    absent = np.log1p(-shares[0]) - np.log1p(-shares[1])
    present = np.log(shares[0]) - np.log(shares[1]) - absent
    right = []
    for side, sign in zip(test, (1, -1), strict=True):
        for features in side:
            found = [index[name] for name in features if name in index]
            score = sign * (absent.sum() + present[found].sum())
            right.append((np.sign(score) + 1) / 2)
    return float(np.mean(right))


def _strongest(ours: list[set[str]], theirs: list[set[str]]) -> list[GiveAway]:
    """Return all features, those that tell most about the side of a text first."""
    counts, sizes = _counted([ours, theirs])
    names = sorted(set().union(*counts))
    a, b = (
        np.array([c[name] / size for name in names]) for c, size in zip(counts, sizes, strict=True)
    )
    information = _entropy((a + b) / 2) - (_entropy(a) + _entropy(b)) / 2
    order = np.argsort(-information, kind="stable").tolist()
    return [GiveAway(names[number], float(a[number]), float(b[number])) for number in order]


def _counted(sides: list[list[set[str]]]) -> tuple[list[Counter[str]], list[int]]:
    counts = [Counter(name for features in side for name in features) for side in sides]
    return counts, [len(side) for side in sides]


def _entropy(share: np.ndarray) -> np.ndarray:
    """Return the entropy in bits of events with some probabilities."""
    both = np.stack([share, 1 - share])
    return -np.where(both > 0, both * np.log2(np.maximum(both, 1e-300)), 0).sum(0)
