import numpy as np
import pytest

from clipnav.encoders.pretraining.zero_shot import average_precision, zero_shot_scores
from clipnav.envs.houses.views.view_facts import ViewFacts

WORDS = ["kitchen", "bedroom", "sofa", "couch", "bed", "red", "blue"]


def texts(sentences: list[str]) -> np.ndarray:
    """Encode sentences with one axis per word, as a perfect CLIP of these words."""
    vectors = np.array([[float(word in s.split()) for word in WORDS] for s in sentences])
    vectors[:, 2] = vectors[:, 2:4].max(1)  # a couch is a sofa
    vectors[:, 3] = 1e-3
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def view(room: str, noun: str, colour: str) -> tuple[np.ndarray, ViewFacts]:
    facts = frozenset({("room", room), ("thing", noun), ("thing", noun, colour)})
    return texts([f"{room} {noun} {colour}"])[0], ViewFacts(facts, facts)


@pytest.fixture
def views() -> list[tuple[np.ndarray, ViewFacts]]:
    return [view("kitchen", "bed", "red"), view("bedroom", "sofa", "blue")] * 12 + [
        view("kitchen", "sofa", "red")
    ] * 12


def test_perfect_features_score_one(views: list[tuple[np.ndarray, ViewFacts]]):
    features, facts = zip(*views, strict=True)
    scores = zero_shot_scores(np.stack(features) * 7, facts, texts, ["red", "blue"])
    assert scores.room_accuracy == scores.thing_precision == scores.colour_accuracy == 1
    assert scores.room_baseline == pytest.approx(2 / 3)
    assert scores.thing_baseline == pytest.approx(0.5)
    assert scores.colour_baseline == pytest.approx(2 / 3)
    assert (scores.room_views, scores.thing_categories, scores.colour_things) == (36, 2, 36)
    assert "100.0%" in str(scores)


def test_uncertain_facts_are_not_scored():
    doubtful = ViewFacts(frozenset(), frozenset({("thing", "sofa", "red"), ("room", "kitchen")}))
    scores = zero_shot_scores(np.ones((3, 7)), [doubtful] * 3, texts, ["red", "blue"])
    assert (scores.room_views, scores.thing_categories, scores.colour_things) == (0, 0, 0)
    assert np.isnan(scores.room_accuracy)


def test_average_precision_against_its_definition():
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert average_precision(scores, np.array([True, False, True, False])) == pytest.approx(
        (1 / 1 + 2 / 3) / 2
    )
    assert average_precision(scores, np.array([False, False, False, True])) == 0.25
