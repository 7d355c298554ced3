import gzip
import json

import msgspec
import pytest

from clipnav.vl_tasks.gqa.questions import (
    Choices,
    GqaQuestion,
    read_gqa_questions,
)
from clipnav.vl_tasks.gqa.scores import Share, read_gqa_predictions, score_gqa

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


def test_scores_by_hand():
    def question(answer, structural, group, detailed="", entailed=(), operation="verify"):
        return msgspec.convert(
            _question(
                answer,
                types={"structural": structural, "semantic": "attr", "detailed": detailed},
                groups={"global": group, "local": None},
                semantic=[
                    {"operation": operation, "argument": argument}
                    for argument in ("name", "colour", "size")
                ],
                entailed=list(entailed),
            ),
            GqaQuestion,
        )

    unbalanced = msgspec.convert(_question("yes", isBalanced=False), GqaQuestion)
    questions = {
        "1": question("yes", "verify", "truth", entailed=("1", "2", "6")),
        "2": question("no", "verify", "truth"),
        "3": question("yes", "choose", "truth", operation="choose"),
        "4": question("red", "query", "look", entailed=("5",), operation="query"),
        "5": question("shape", "query", "look", detailed="compareCommon", operation="query"),
        "6": unbalanced,
    }
    answers = {"1": "yes", "2": "yes", "3": "yes", "4": "red", "5": "color", "6": "yes"}
    yes_or_no, colours = Choices(("yes", "no"), ("yes",)), Choices(("red", "blue"), ("blue",))
    choices = {"1": yes_or_no, "2": Choices(("no",), ()), "3": yes_or_no, "4": colours}
    choices["5"] = Choices((), ())  # "color" fits what is common, whatever is listed here
    scores = score_gqa(questions, answers, choices, with_consistency=True)
    assert (scores.accuracy, scores.open) == pytest.approx((60, 50))
    assert scores.binary == pytest.approx(200 / 3)
    # Half of the questions that 1 entails (besides itself) are right, and none that 4 entails.
    assert scores.consistency == pytest.approx(25)
    assert (scores.validity, scores.plausibility) == pytest.approx((80, 60))
    # Three "yes" for two "yes" and one "no"; "color" for "shape".
    truth, look = (3 - 2) ** 2 / 2 + (0 - 1) ** 2 / 1, (1 - 1) ** 2 / 1 + (0 - 1) ** 2 / 1
    assert scores.distribution == pytest.approx((3 * truth + 2 * look) / 5 / 100)
    types = {"choose": Share(100, 1), "query": Share(50, 2), "verify": Share(50, 2)}
    assert scores.by_structural_type == types
    # "choose name" and "query: name" count as lookups only in exactly this form.
    assert {steps: share.questions for steps, share in scores.by_steps.items()} == {2: 2, 3: 3}


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
