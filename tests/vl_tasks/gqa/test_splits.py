import json
import shutil

import pytest

from clipnav.vl_tasks.gqa.task import read_scored_split, read_split


@pytest.fixture
def folder(gqa_shapes, tmp_path):
    for path in gqa_shapes.glob("*.json"):
        shutil.copy(path, tmp_path)
    return tmp_path


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_gold_answers_of_a_split_score_100(folder):
    split = read_scored_split(folder, "val", with_consistency=True)
    assert (len(split.questions), len(split.entailed_questions)) == (24, 12)
    questions = [*split.questions, *split.entailed_questions]
    scores = split.score({one.question_id: one.answer for one in questions})
    assert (scores.accuracy, scores.consistency, scores.validity) == (100, 100, 100)
    assert scores.distribution == 0


def test_errors_name_file_and_question(folder):
    path = folder / "val_all_questions.json"
    change(path, lambda content: content.pop("val48c"))
    with pytest.raises(ValueError, match=r"all_questions.json: question val48c, which .* val48a"):
        read_scored_split(folder, "val", with_consistency=True)
    path = folder / "val_choices.json"
    name = next(iter(json.loads(path.read_text())))
    change(path, lambda content: content.pop(name))
    with pytest.raises(ValueError, match=rf"val_choices.json: question {name} has no choices"):
        read_scored_split(folder, "val", with_consistency=False)
    path = folder / "train_balanced_questions.json"
    change(path, lambda content: content["train0a"].update(question=" "))
    with pytest.raises(
        ValueError, match=r"train_balanced.*question train0a: its question is blank"
    ):
        read_split(folder, "train")
    change(path, lambda content: content["train0a"].update(question="x", imageId=""))
    with pytest.raises(ValueError, match="question train0a: its imageId is blank"):
        read_split(folder, "train")
    path.write_text("{}")
    with pytest.raises(ValueError, match="it contains no question"):
        read_split(folder, "train")
    with pytest.raises(FileNotFoundError, match="no file of split 'dev'"):
        read_split(folder, "dev")
