"""How well image features tell rooms, things and colours of houses apart, by words alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from envs.houses.views.captions import room_prompts, thing_prompts
from envs.houses.views.view_facts import Fact, ViewFacts, is_colour

Texts = Callable[[list[str]], np.ndarray]
_FEWEST = 10  # true views, and false ones, that a word needs to be judged by


@dataclass(frozen=True)
class ZeroShotScores:
    """Scores of N views; fractions.

    Attributes:
        room_accuracy: Views whose kind of room is named right, among those that show mostly one.
        room_baseline: The share of the commonest kind among those.
        room_views: How many views that is.
        thing_precision: Mean over categories of the average precision with which views that show
            it are ranked before views that do not.
        thing_baseline: The same of a random ranking.
        thing_categories: How many categories that is.
        colour_accuracy: Things whose colour is named right, given their category, where the view
            shows one colour of it.
        colour_baseline: The share of the commonest colour among those.
        colour_things: How many things that is.
    """

    room_accuracy: float
    room_baseline: float
    room_views: int
    thing_precision: float
    thing_baseline: float
    thing_categories: int
    colour_accuracy: float
    colour_baseline: float
    colour_things: int

    def __str__(self) -> str:
        return (
            f"room kind      {self.room_accuracy:6.1%}  (commonest kind {self.room_baseline:.1%}, "
            f"{self.room_views} views)\n"
            f"things, mAP    {self.thing_precision:6.1%}  (random {self.thing_baseline:.1%}, "
            f"{self.thing_categories} categories)\n"
            f"colour         {self.colour_accuracy:6.1%}  (commonest colour "
            f"{self.colour_baseline:.1%}, {self.colour_things} things)"
        )


def zero_shot_scores(
    features: np.ndarray, facts: Sequence[ViewFacts], texts: Texts, colours: Sequence[str]
) -> ZeroShotScores:
    """Score image features against the texts' features.

    Args:
        features: (N, D) of views.
        facts: Of the N views.
        texts: Gives unit vectors (M, D) for M sentences.
        colours: The colour names to choose from.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)
    rooms, room_true = _rooms(unit, facts, texts)
    precisions, shares = _things(unit, facts, texts)
    colour_right, colour_true = _colours(unit, facts, texts, colours)
    return ZeroShotScores(
        room_accuracy=_mean(rooms),
        room_baseline=_commonest(room_true),
        room_views=len(room_true),
        thing_precision=_mean(precisions),
        thing_baseline=_mean(shares),
        thing_categories=len(precisions),
        colour_accuracy=_mean(colour_right),
        colour_baseline=_commonest(colour_true),
        colour_things=len(colour_true),
    )


def prompt_vector(prompts: list[str], texts: Texts) -> np.ndarray:
    """(D,) mean direction of several ways to say the same (CLIP, section 3.1.4)."""
    mean = texts(prompts).mean(0)
    return mean / np.linalg.norm(mean)


def average_precision(scores: np.ndarray, true: np.ndarray) -> float:
    """Area under precision over recall of a ranking by falling scores."""
    hits = true[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def enough_to_judge(true: np.ndarray, judged: np.ndarray) -> bool:
    """Whether a word is true, and false, of enough views (N,) to be judged by."""
    return min(true.sum(), (judged & ~true).sum()) >= _FEWEST


def _rooms(
    unit: np.ndarray, facts: Sequence[ViewFacts], texts: Texts
) -> tuple[list[bool], list[str]]:
    rows = [row for row, known in enumerate(facts) if known.room]
    true = [facts[row].room for row in rows]
    kinds = sorted(set(true))
    if not kinds:
        return [], []
    prompts = np.stack([prompt_vector(room_prompts(kind), texts) for kind in kinds])
    chosen = (unit[rows] @ prompts.T).argmax(1)
    return [kinds[choice] == kind for choice, kind in zip(chosen, true, strict=True)], true


def _things(
    unit: np.ndarray, facts: Sequence[ViewFacts], texts: Texts
) -> tuple[list[float], list[float]]:
    things: set[Fact] = {f for k in facts for f in k.holds if f[0] == "thing" and len(f) == 2}
    precisions, shares = [], []
    for thing in sorted(things):
        true = np.array([thing in known.holds for known in facts])
        judged = true | np.array([thing not in known.may_hold for known in facts])
        if not enough_to_judge(true, judged):
            continue
        scores = unit[judged] @ prompt_vector(thing_prompts(thing[1]), texts)
        precisions.append(average_precision(scores, true[judged]))
        shares.append(float(true[judged].mean()))
    return precisions, shares


def _colours(
    unit: np.ndarray, facts: Sequence[ViewFacts], texts: Texts, colours: Sequence[str]
) -> tuple[list[bool], list[str]]:
    rows: dict[str, list[tuple[int, str]]] = {}
    for row, known in enumerate(facts):
        possible = [fact for fact in known.may_hold if is_colour(fact)]
        for fact in possible:
            alone = sum(other[1] == fact[1] for other in possible) == 1
            if alone and fact in known.holds:
                rows.setdefault(fact[1], []).append((row, fact[2]))
    right, true = [], []
    for noun, found in sorted(rows.items()):
        prompts = np.stack([prompt_vector(thing_prompts(noun, c), texts) for c in colours])
        chosen = (unit[[row for row, _ in found]] @ prompts.T).argmax(1)
        right += [colours[c] == colour for c, (_, colour) in zip(chosen, found, strict=True)]
        true += [colour for _, colour in found]
    return right, true


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _commonest(names: Sequence[str]) -> float:
    return max(names.count(name) for name in set(names)) / len(names) if names else float("nan")
