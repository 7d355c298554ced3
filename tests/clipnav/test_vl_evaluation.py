"""The commands that score answers and captions."""

import json

import pytest

from clipnav.vl_tasks.data.questions import Question, write_questions

RESULTS = [{"image_id": 1, "caption": "A red sofa"}, {"image_id": 2, "caption": "Two cats run!"}]


def test_answers_are_scored_by_type(command, tmp_path):
    questions = [
        Question(1, 1, "Is it red?", ("yes",), "is it", "yes/no", "yes"),
        Question(2, 1, "How many?", ("2",) * 3 + ("3",) * 7, "how many", "number", "3"),
    ]
    questions_path, annotations_path = tmp_path / "questions.json", tmp_path / "annotations.json"
    write_questions(questions, questions_path, annotations_path, "test", "val")
    answers = [{"question_id": 1, "answer": "yes"}, {"question_id": 2, "answer": "2"}]
    (tmp_path / "mine.json").write_text(json.dumps(answers))
    scores = tmp_path / "new" / "scores.json"
    done = command(
        "evaluate-answers",
        tmp_path / "mine.json",
        *("--questions", questions_path, "--annotations", annotations_path, "--json", scores),
    )
    assert done.returncode == 0, done.stderr
    assert "accuracy 95.00 % of 2 questions, evaluator V2" in done.stdout
    (found,) = json.loads(scores.read_text()).values()
    assert found["by_answer_type"] == {"number": 90.0, "yes/no": 100.0}


@pytest.mark.parametrize("form", ["coco", "karpathy"])
def test_captions_are_scored_and_images_without_one_counted(command, tmp_path, form):
    texts = {1: ["A red sofa.", "The sofa is red."], 2: ["Two dogs run."], 3: ["A door."]}
    if form == "coco":
        rows = [{"image_id": k, "caption": t} for k, given in texts.items() for t in given]
        content = {"annotations": rows}
    else:
        images = [
            {"cocoid": k, "filename": f"{k}.jpg", "split": "test"}
            | {"sentences": [{"tokens": ["x"], "raw": t} for t in given]}
            for k, given in texts.items()
        ]
        content = {"images": images}
    references = tmp_path / "references.json"
    references.write_text(json.dumps(content))
    (tmp_path / "mine.json").write_text(json.dumps(RESULTS))
    done = command(
        "evaluate-captions",
        tmp_path / "mine.json",
        *("--references", references, "--tokenizer", "python", "--meteor", "no"),
    )
    assert done.returncode == 0, done.stderr
    assert "2 captions, tokenizer PTB-like (Python)\n" in done.stdout
    assert "Bleu_1     83.33" in done.stdout
    assert f"\n  1 image of {references} without a caption, left out\n" in done.stdout
