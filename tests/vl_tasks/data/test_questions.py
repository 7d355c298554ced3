import json

import pytest

from clipnav.vl_tasks.data.questions import Question, read_questions


def _question(question_id, image_id=1, text="Is there a sofa?"):
    return {"question_id": question_id, "image_id": image_id, "question": text}


def _annotation(question_id, image_id=1, answers=("yes",) * 10):
    return {
        "question_id": question_id,
        "image_id": image_id,
        "question_type": "is there a",
        "answer_type": "yes/no",
        "multiple_choice_answer": "yes",
        "answers": [{"answer": a, "answer_id": k} for k, a in enumerate(answers, 1)],
    }


@pytest.fixture
def read(tmp_path):
    def read(questions, annotations=None):
        questions_path = tmp_path / "questions.json"
        questions_path.write_text(json.dumps({"questions": questions}))
        annotations_path = None
        if annotations is not None:
            annotations_path = tmp_path / "annotations.json"
            annotations_path.write_text(json.dumps({"annotations": annotations}))
        return read_questions(questions_path, annotations_path)

    return read


def test_files_are_joined_by_question_id(read):
    first, second = read([_question(12), _question(11)], [_annotation(11), _annotation(12)])
    assert first == Question(
        12, 1, "Is there a sofa?", ("yes",) * 10, "is there a", "yes/no", "yes"
    )
    assert second.question_id == 11


@pytest.mark.parametrize(
    ("questions", "annotations", "complaint"),
    [
        ([], None, "questions.json: it contains no question"),
        ([_question(12), _question(12)], None, "questions.json: question_id 12: it occurs twice"),
        ([_question(12, text=" ")], None, "question_id 12: it is blank"),
        ([_question(12)], [], "annotations.json: question_id 12: the question has no annotation"),
        ([_question(12)], [_annotation(12)] * 2, "annotations.json: question_id 12: it occurs"),
        ([_question(12)], [_annotation(12, 2)], "its image is 2, but that of the question is 1"),
        (
            [_question(12)],
            [_annotation(12), _annotation(9)],
            "questions.json: question_id 9: the question is missing",
        ),
        ([_question(12)], [_annotation(12, answers=())], "question_id 12: it has no answer"),
        (
            [_question(12)],
            [_annotation(12, answers=("yes",))],
            "question_id 12: it has one annotated answer, .* is 0; repeat the answer, four times",
        ),
        ([_question("12")], None, r"question_id 12\): field 'question_id': expected `?int"),
    ],
)
def test_errors_name_bad_vqa_files(read, questions, annotations, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(questions, annotations)
