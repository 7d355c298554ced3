"""Zero-shot evaluation of image features: recognition of rooms, objects and colours by prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.views.captions import room_prompts, thing_prompts
from clipnav.envs.houses.views.view_facts import Fact, ViewFacts, is_colour

Texts = Callable[[list[str]], np.ndarray]
_FEWEST = 10  # views in which a category is visible, and views in which it is not, to score it


@dataclass(frozen=True)
class ZeroShotScores:
    """Zero-shot scores of a set of views, as fractions.

    Attributes:
        room_accuracy: Accuracy of the room type, over views that are dominated by one.
        room_baseline: Share of the most frequent room type among these views.
        room_views: Number of these views.
        thing_precision: Mean average precision over object categories of ranking views that show
            the category before views that do not.
        thing_baseline: Mean average precision of a random ranking.
        thing_categories: Number of scored categories.
        colour_accuracy: Accuracy of an object's colour, given its category, over objects that have
            one colour in the view.
        colour_baseline: Share of the most frequent colour among these objects.
        colour_things: Number of these objects.
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
            f"room type      {self.room_accuracy:6.1%}  (majority {self.room_baseline:.1%}, "
            f"{self.room_views} views)\n"
            f"objects, mAP   {self.thing_precision:6.1%}  (random {self.thing_baseline:.1%}, "
            f"{self.thing_categories} categories)\n"
            f"colour         {self.colour_accuracy:6.1%}  (majority {self.colour_baseline:.1%}, "
            f"{self.colour_things} objects)"
        )


def zero_shot_scores(
    features: np.ndarray, facts: Sequence[ViewFacts], texts: Texts, colours: Sequence[str]
) -> ZeroShotScores:
    """Score image features by their similarity to the features of prompts.

    Args:
        features: (N, D) features of views.
        texts: Function that encodes M sentences as unit vectors (M, D).
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)
    room_correct, room_true = _rooms(unit, facts, texts)
    precisions, shares = _things(unit, facts, texts)
    colour_correct, colour_true = _colours(unit, facts, texts, colours)
    return ZeroShotScores(
        room_accuracy=mean_or_nan(room_correct),
        room_baseline=_majority_share(room_true),
        room_views=len(room_true),
        thing_precision=mean_or_nan(precisions),
        thing_baseline=mean_or_nan(shares),
        thing_categories=len(precisions),
        colour_accuracy=mean_or_nan(colour_correct),
        colour_baseline=_majority_share(colour_true),
        colour_things=len(colour_true),
    )


def _prompt_vector(prompts: list[str], texts: Texts) -> np.ndarray:
    """Average the unit vectors of several prompts into one (D,) (CLIP, section 3.1.4)."""
    mean = texts(prompts).mean(0)
    return mean / np.linalg.norm(mean)


def average_precision(scores: np.ndarray, true: np.ndarray) -> float:
    """Compute the average precision of a ranking by descending scores."""
    hits = true[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def enough_to_judge(true: np.ndarray, judged: np.ndarray) -> bool:
    """Return whether a category has enough positive and negative views (N,) to be scored."""
    return min(true.sum(), (judged & ~true).sum()) >= _FEWEST


def _rooms(
    unit: np.ndarray, facts: Sequence[ViewFacts], texts: Texts
) -> tuple[list[bool], list[str]]:
    rows = [row for row, view in enumerate(facts) if view.room]
    true = [facts[row].room for row in rows]
    kinds = sorted(set(true))
    if not kinds:
        return [], []
    prompts = np.stack([_prompt_vector(room_prompts(kind), texts) for kind in kinds])
    chosen = (unit[rows] @ prompts.T).argmax(1)
    return [kinds[choice] == kind for choice, kind in zip(chosen, true, strict=True)], true


def _things(
    unit: np.ndarray, facts: Sequence[ViewFacts], texts: Texts
) -> tuple[list[float], list[float]]:
    things: set[Fact] = {f for k in facts for f in k.holds if f[0] == "thing" and len(f) == 2}
    precisions, shares = [], []
    for thing in sorted(things):
        true = np.array([thing in view.holds for view in facts])
        judged = true | np.array([thing not in view.may_hold for view in facts])
        if not enough_to_judge(true, judged):
            continue
        scores = unit[judged] @ _prompt_vector(thing_prompts(thing[1]), texts)
        precisions.append(average_precision(scores, true[judged]))
        shares.append(float(true[judged].mean()))
    return precisions, shares


def _colours(
    unit: np.ndarray, facts: Sequence[ViewFacts], texts: Texts, colours: Sequence[str]
) -> tuple[list[bool], list[str]]:
    rows: dict[str, list[tuple[int, str]]] = {}
    for row, view in enumerate(facts):
        possible = [fact for fact in view.may_hold if is_colour(fact)]
        for fact in possible:
            is_unique = sum(other[1] == fact[1] for other in possible) == 1
            if is_unique and fact in view.holds:
                rows.setdefault(fact[1], []).append((row, fact[2]))
    correct, true = [], []
    for noun, examples in sorted(rows.items()):
        prompts = np.stack([_prompt_vector(thing_prompts(noun, c), texts) for c in colours])
        chosen = (unit[[row for row, _ in examples]] @ prompts.T).argmax(1)
        correct += [colours[c] == colour for c, (_, colour) in zip(chosen, examples, strict=True)]
        true += [colour for _, colour in examples]
    return correct, true


def mean_or_nan(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean of values, NaN without any."""
    return float(np.mean(values)) if len(values) else float("nan")


def _majority_share(names: Sequence[str]) -> float:
    return max(names.count(name) for name in set(names)) / len(names) if names else float("nan")
