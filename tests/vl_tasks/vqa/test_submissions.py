import json

import pytest

from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.vqa.submissions import (
    read_submission,
    read_sure_submission,
)

QUESTIONS = [Question(number, 1, "?") for number in (3, 1, 2)]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            [(1, "a"), (2, "b"), (3, "c"), (1, "d")],
            r"questions answered twice: 1 \(1\); answer each",
        ),
        ([(1, "a"), (2, "b"), (3, "c"), (9, "d")], r"questions not in the split: 1 \(9\); answer"),
        ([(1, "a")], r"questions not answered: 2 \(3, 2\); answer each"),
        ([(1, 5)], r"record 0 \(question_id 1\): field 'answer': expected str, got int"),
        ([(1, None)], r"record 0 \(question_id 1\): field 'answer'"),
    ],
)
def test_faults_are_named(tmp_path, rows, complaint):
    path = tmp_path / "answers.json"
    path.write_text(json.dumps([{"question_id": q, "answer": a} for q, a in rows]))
    with pytest.raises(ValueError, match=complaint):
        read_submission(path, QUESTIONS)


def test_confidences(tmp_path):
    path = tmp_path / "answers.json"
    rows = [{"question_id": n, "answer": "a", "confidence": n / 4} for n in (1, 2, 3)]
    path.write_text(json.dumps(rows))
    assert list(read_submission(path, QUESTIONS)) == [3, 1, 2]
    assert read_sure_submission(path, QUESTIONS) == {3: ("a", 0.75), 1: ("a", 0.25), 2: ("a", 0.5)}
    path.write_text(json.dumps([{"question_id": n, "answer": "a"} for n in (1, 2, 3)]))
    with pytest.raises(ValueError, match="field 'confidence' is missing"):
        read_sure_submission(path, QUESTIONS)
