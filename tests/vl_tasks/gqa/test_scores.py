import gzip
import json

import msgspec
import pytest

from clipnav.vl_tasks.gqa.questions import (
    Choices,
    GqaQuestion,
    read_gqa_questions,
)
from clipnav.vl_tasks.gqa.scores import read_gqa_predictions, score_gqa

GROUPS = {
    "by_structural_type": "accuracyPerStructuralType",
    "by_semantic_type": "accuracyPerSemanticType",
    "by_steps": "accuracyPerSteps",
    "by_words": "accuracyPerLength",
}


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads(gzip.decompress((shared / "golden" / "gqa.json.gz").read_bytes()))["sets"]


def _score(case):
    return score_gqa(
        msgspec.convert(case["questions"], dict[str, GqaQuestion]),
        # The official program counts the last one of several predictions.
        {one["questionId"]: one["prediction"] for one in case["predictions"]},
        msgspec.convert(case["choices"], dict[str, Choices]),
        with_consistency=case["eval_consistency"],
    )


def test_scores_equal_those_of_the_official_program(golden):
    cases = [case for case in golden.values() if "scores" in case]
    assert cases
    for case in cases:
        scores, expected = _score(case), case["scores"]
        names = ("accuracy", "binary", "open", "validity", "plausibility", "consistency")
        # A score over no question is None here and 0 in the official program.
        ours = {name: getattr(scores, name) or 0 for name in (*names, "distribution")}
        assert ours == pytest.approx({name: expected[name] for name in ours}, abs=1e-9)
        for name, official in GROUPS.items():
            shares = {str(k): [v.percent, v.questions] for k, v in getattr(scores, name).items()}
            assert shares == {k: pytest.approx(v, abs=1e-9) for k, v in expected[official].items()}


def test_files_on_which_the_official_program_fails_are_scored(golden):
    for case in (case for case in golden.values() if "error" in case):
        scores = _score(case)
        assert 0 <= scores.accuracy <= 100
        has_groups = any(question["groups"]["global"] for question in case["questions"].values())
        assert (scores.distribution is not None) == has_groups
        assert (scores.consistency is not None) == case["eval_consistency"]


def _question(answer="yes", **changes):
    record = {
        "question": "Is it red?",
        "answer": answer,
        "isBalanced": True,
        "types": {"structural": "verify", "semantic": "attr", "detailed": "verifyAttr"},
        "groups": {"global": "color", "local": "x"},
        "semantic": [{"operation": "select", "argument": "it (1)", "dependencies": []}],
        "entailed": [],
    }
    return {**record, **changes}


@pytest.fixture
def files(tmp_path):
    def write(questions, predictions=(), choices=None):
        paths = [tmp_path / f"{name}.json" for name in ("questions", "predictions", "choices")]
        rows = [{"questionId": key, "prediction": value} for key, value in predictions]
        for path, content in zip(paths, (questions, rows, choices), strict=True):
            path.write_text(json.dumps(content))
        return paths

    return write


@pytest.mark.parametrize(
    ("questions", "predictions", "complaint"),
    [
        ({"1": _question()}, [("1", "a"), ("1", "b")], "question 1 is answered twice"),
        ({"1": _question()}, [("1", "a"), ("2", "b")], "question 2 is not in the questions file"),
        ({"1": _question()}, [], "question 1 and 0 others have no answer"),
        ({"1": _question(types={})}, [], "record 1: Object missing required field structural"),
        ([], [], "Expected object"),
    ],
)
def test_errors_name_the_question(files, questions, predictions, complaint):
    questions_path, predictions_path, _ = files(questions, predictions)
    with pytest.raises(ValueError, match=complaint):
        read_gqa_predictions(predictions_path, read_gqa_questions(questions_path))


def test_consistency_requires_all_questions():
    one = msgspec.convert(_question(entailed=["9"]), GqaQuestion)
    with pytest.raises(ValueError, match="question 1 entails 9"):
        score_gqa({"1": one}, {"1": "yes"}, with_consistency=True)
    with pytest.raises(ValueError, match="question 1 has no choices"):
        score_gqa({"1": one}, {"1": "yes"}, choices={})
