import numpy as np
import pytest

from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.scores.metrics import Answers
from clipnav.vl_tasks.reliability.scores.report import (
    ModelAnswers,
    ScoredAnswers,
    curve_points,
    mixture,
    model_report,
    reliability_intervals,
    score_answers,
)

RISKS = (0.05, 0.2)


def scored(count=600, seed=0, images=200):
    rng = np.random.default_rng(seed)
    confidence = np.round(rng.random(count), 2)  # with ties
    accuracy = (rng.random(count) < confidence) * 1.0
    return ScoredAnswers(Answers(accuracy, confidence), np.arange(count) % images)


def test_intervals_contain_the_scores():
    model = ModelAnswers("m", scored(seed=1), scored())
    report = model_report(model, resamples=300)
    for name in ("accuracy", "AUC", "AUC (official)", "C@20%", "Phi_1", "Phi_10"):
        value = report[name]
        assert value["low"] < value["value"] < value["high"]
    plain = model_report(model, resamples=0)
    assert plain["AUC"] == report["AUC"]["value"]
    assert report["AUC (official)"]["value"] <= plain["AUC"]
    assert plain["best AUC"] < plain["AUC"]


def test_a_resample_of_each_image_once_gives_the_scores_themselves(monkeypatch):
    one = scored(images=600)

    class Rng:
        def integers(self, count, size):
            return np.arange(size)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Rng())
    ends = reliability_intervals(one, RISKS, {10: 0.6}, resamples=3)
    monkeypatch.undo()
    report = model_report(ModelAnswers("m", one, one), resamples=0)
    for name in ("accuracy", "AUC", "AUC (official)", "C@5%", "C@20%"):
        assert ends[name] == pytest.approx((report[name],) * 2, abs=0.006)
    answered = one.answers.confidence >= 0.6
    gain = np.where(one.answers.accuracy == 0, -10, 1)[answered].sum() / 600
    assert ends["Phi_10"][0] == pytest.approx(100 * gain)


def test_intervals_are_wider_if_the_questions_of_an_image_agree():
    one, rows = scored(150).answers, np.repeat(np.arange(150), 4)
    answers = Answers(one.accuracy[rows], one.confidence[rows])
    together, separate = (
        np.ptp(reliability_intervals(ScoredAnswers(answers, images), RISKS, {}, 200)["accuracy"])
        for images in (rows, np.arange(600))
    )
    assert together > 1.5 * separate


def test_thresholds_of_val_are_applied_to_test():
    model = ModelAnswers("m", scored(2000, seed=3), scored(2000, seed=4))
    found = model_report(model, resamples=0)["with the threshold of val at 20%"]
    test = model.test.answers
    answered = test.confidence >= found["threshold"]
    assert found["coverage"] == pytest.approx(100 * answered.mean())
    assert found["risk"] == pytest.approx(100 * (1 - test.accuracy[answered].mean()))
    assert found["risk"] == pytest.approx(20, abs=5)


def test_curves_and_scores_by_hand():
    one = Answers(np.array([1.0, 0, 1, 0]), np.array([0.9, 0.9, 0.5, 0.1]))
    coverage, risk = curve_points(ScoredAnswers(one, np.arange(4)))
    assert coverage.tolist() == [50, 75, 100]
    assert risk == pytest.approx([50, 100 / 3, 50])
    questions = [Question(5, 9, "?", ("yes",) * 10), Question(6, 4, "?", ("no",) * 10)]
    found = score_answers({6: ("yes", 0.25), 5: ("yes", 0.75)}, questions, "V3")
    assert found.answers.accuracy.tolist() == [1, 0]
    assert found.answers.confidence.tolist() == [0.75, 0.25]
    assert found.images.tolist() == [1, 0]
    single = ScoredAnswers(Answers(np.ones(1), np.full(1, 0.5)), np.zeros(1, int))
    report = model_report(ModelAnswers("m", single, single), resamples=20)
    assert report["AUC"] is None
    assert report["accuracy"] == {"value": 100.0, "low": 100.0, "high": 100.0}


@pytest.mark.parametrize(
    ("share", "sizes"), [(0.1, (540, 60)), (0.5, (100, 100)), (1.0, (0, 100)), (0.25, (300, 100))]
)
def test_mixtures_have_the_share_of_shifted_questions(share, sizes):
    usual, shifted = scored(540), scored(100, seed=9, images=50)
    shifted = ScoredAnswers(
        Answers(shifted.answers.accuracy, shifted.answers.confidence + 10), shifted.images
    )
    mixed = mixture(usual, shifted, share)
    is_shifted = mixed.answers.confidence > 5
    assert (int((~is_shifted).sum()), int(is_shifted.sum())) == sizes
    assert set(mixed.images[is_shifted]).isdisjoint(mixed.images[~is_shifted])
    again = mixture(usual, shifted, share)
    assert np.array_equal(again.answers.confidence, mixed.answers.confidence)


def test_a_mixture_without_shifted_questions_is_refused():
    with pytest.raises(ValueError, match=r"0\.01 of 48 questions is less than one shifted"):
        mixture(scored(48), scored(24, seed=9), 0.01)
