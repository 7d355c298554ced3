import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipnav.vl_tasks.classification.answers import agreement
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.text.normalising import normalise
from clipnav.vl_tasks.vqa.accuracy import VARIANTS, compared, score_predictions, vqa_accuracy

CURLED = "\N{RIGHT SINGLE QUOTATION MARK}"


def test_accuracies_equal_those_of_the_official_evaluators(shared):
    path = shared / "golden" / "vqa_accuracy.json.gz"
    cases = json.loads(gzip.decompress(path.read_bytes()))["cases"]
    assert len(cases) >= 770
    for case in cases:
        prediction, answers = case["prediction"], case["answers"]
        for variant in VARIANTS:
            accuracy = vqa_accuracy(prediction, answers, variant)
            assert accuracy == pytest.approx(case["accuracy"][variant], abs=1e-9), case
            assert compared(prediction, answers, variant)[0] == case["normalized"][variant], case


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.sampled_from("abcd"))
def test_leaving_out_each_annotator(answers, prediction):
    shares = []
    for left_out in range(len(answers)):
        others = [a for k, a in enumerate(answers) if k != left_out]
        shares.append(min(1, others.count(prediction) / 3))
    expected = sum(shares) / len(shares)
    assert agreement(answers.count(prediction), len(answers)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "normal", "variant"),
    [
        ("The red, white and blue.", "red white and blue", "V2"),
        ("1,000-2,000", "10002000", "V2"),
        ("1,,000", "1 000", "V2"),
        ("a.3 and 5.", "a.3 and 5", "V2"),
        ("." * 40, "." * 8, "V2"),
        ("none of two", "0 of 2", "V2"),
        ("Dont", "don't", "V2"),
        ("yall'd've", "y'all'd've", "V2"),
        ("somebody'd", "somebodyd", "V2"),
        ("Im", "im", "V2"),
        ("T-shirt", "t shirt", "V2"),
        ("3-4", "3 4", "V2"),
        ("3-4", "3-4", "V3"),
        ("b-c", "b c", "V3"),
        ("été-été", "été-été", "V3"),
        ("dont", f"don{CURLED}t", "V0"),
        ("cant", "can't", "V0"),
        ("wasn't: so", "wasn t so", "V0"),
        (f"couldnt{CURLED}ve", f"couldn{CURLED}t{CURLED}ve", "V0"),
    ],
)
def test_normalising(text, normal, variant):
    assert normalise(text, variant) == normal


@pytest.mark.parametrize(
    ("prediction", "answers", "variant", "accuracy"),
    [
        ("Frisbee", ["frisbee"] * 10, "V2", 0),  # ten equal answers are compared literally
        ("Frisbee", ["frisbee"] * 9 + ["disc"], "V2", 1),
        (" frisbee\n", ["frisbee "] * 10, "V2", 1),
        ("Frisbee", ["frisbee"] * 10, "V1", 1),
        ("two", ["two"] * 9 + ["three"], "V1", 0),  # which normalises predictions only
        ("2", ["two"] * 9 + ["three"], "V2", 1),
    ],
)
def test_variants_normalise_different_answers(prediction, answers, variant, accuracy):
    assert vqa_accuracy(prediction, answers, variant) == accuracy


def test_unknown_variants_and_missing_annotations_are_refused():
    with pytest.raises(ValueError, match="no variant 'V9'"):
        vqa_accuracy("yes", ["yes"], "V9")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no annotator"):
        vqa_accuracy("yes", [])


@pytest.fixture
def questions():
    return [
        Question(1, 1, "Is it red?", ("yes",) * 10, "is it", "yes/no"),
        Question(2, 1, "How many?", ("2",) * 3 + ("3",) * 7, "how many", "number"),
        Question(3, 1, "Is it blue?", ("no",) * 9 + ("yes",), "is it", "yes/no"),
    ]


def test_scores_by_type_are_rounded(questions):
    scores = score_predictions(questions, {1: "yes", 2: "2", 3: "yes"})
    assert scores.questions == 3
    assert scores.by_question_type == {"how many": 90.0, "is it": 65.0}
    assert scores.by_answer_type == {"number": 90.0, "yes/no": 65.0}
    assert scores.overall == 73.33


def test_errors_name_questions_without_prediction_or_annotation(questions):
    with pytest.raises(ValueError, match="question_id 2 has no predicted"):
        score_predictions(questions, {1: "yes"})
    with pytest.raises(ValueError, match="question_id 4 has no annotated"):
        score_predictions([Question(4, 1, "Is it?")], {4: "yes"})
    with pytest.raises(ValueError, match="no question"):
        score_predictions([], {})
