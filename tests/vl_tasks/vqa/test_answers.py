import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipnav.vl_tasks.classification.answers import AnswerVocabulary, normalised, soft_scores
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.vqa.accuracy import vqa_accuracy
from clipnav.vl_tasks.vqa.answering import _class_of, as_questions
from clipnav.vl_tasks.vqa.task import SoftTargets


def _question(number, *answers, majority=""):
    return Question(number, 1, "?", answers, majority_answer=majority)


@given(st.lists(st.sampled_from(["yes", "Yes.", "no", "2", "two"]), min_size=10, max_size=10))
def test_the_scores_of_ten_annotators_are_those_of_vilt(answers):
    steps = (0.0, 0.3, 0.6, 0.9, 1.0)  # `get_score` of ViLT's write_vqa.py; also openvqa, LXMERT
    counts = Counter(normalised(answer) for answer in answers)
    expected = {answer: steps[min(n, 4)] for answer, n in counts.items()}
    assert soft_scores(answers) == pytest.approx(expected)


def test_a_soft_score_is_the_accuracy_of_the_answer():
    answers = ["red"] * 3 + ["a dark red"] * 2 + ["blue"] * 5
    for answer, score in soft_scores(answers).items():
        assert score == pytest.approx(vqa_accuracy(answer, answers))


def test_frequent_majority_answers():
    counts = {"Yes.": 9, "two": 10, "zebra": 8}
    questions = [_question(1, majority=one) for one, count in counts.items() for _ in range(count)]
    assert AnswerVocabulary.build(questions).answers == ("2", "yes")
    # Without a majority answer, the commonest one counts, after normalising.
    for answers, commonest in {"e d c d e": "d", "Yes yes. YES no no": "yes"}.items():
        asked = _question(1, *answers.split())
        assert AnswerVocabulary.build([asked], min_count=1).answers == (commonest,)


def test_targets():
    vocabulary = AnswerVocabulary(["yes", "no"])
    questions = [_question(1, *["yes"] * 7, "no", "no", "maybe"), _question(2, *["maybe"] * 10)]
    targets = SoftTargets(questions, vocabulary).batch(np.array([1, 0, 1]))
    assert targets.dtype == torch.float32
    torch.testing.assert_close(targets, torch.tensor([[0, 0], [1, 0.6], [0, 0]]))


def test_answers_of_a_file_are_learnt_in_any_form():
    listed = ["<unk>", "Red", "RED", "t-shirt", "one", "1", "the table", "the", "Dont"]
    vocabulary = AnswerVocabulary(listed)
    expected = {"red": "Red", "t shirt": "t-shirt", "table": "the table", "don't": "Dont"}
    for annotated, answer in {**expected, "one": "1", "1": "1"}.items():
        assert vocabulary.scores(_question(1, *[annotated] * 10)) == {listed.index(answer): 1}
    assert _class_of("RED", vocabulary, Path("answers.json")) == listed.index("RED")
    assert _class_of("red", vocabulary, Path("answers.json")) == listed.index("Red")
    for annotated in ("unk", "<unk>", "a", "blue"):
        assert not vocabulary.scores(_question(1, *[annotated] * 10))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("answers.json", ["yes", "no"]),
        ("trainval_ans2label.json", {"no": 1, "yes": 0}),
        ("answer_dict.json", [{"yes": 0, "no": 1}, {"0": "yes", "1": "no"}]),
    ],
)
def test_forms_of_files(tmp_path, name, content):
    (tmp_path / name).write_text(json.dumps(content))
    assert AnswerVocabulary.load(tmp_path / name).answers == ("yes", "no")


def test_text_files_and_our_own(tmp_path):
    (tmp_path / "answers_vqa.txt").write_text("<unk>\nyes\nno\n")
    loaded = AnswerVocabulary.load(tmp_path / "answers_vqa.txt")
    assert loaded.answers == ("<unk>", "yes", "no")
    (tmp_path / "marked.txt").write_text("\ufeff<unk>\r\nyes\r\nno", encoding="utf-8")
    assert AnswerVocabulary.load(tmp_path / "marked.txt") == loaded
    (tmp_path / "edited.txt").write_text("<unk>\nyes\nno\n\n")
    assert AnswerVocabulary.load(tmp_path / "edited.txt") == loaded
    loaded.save(tmp_path / "answers.json")
    assert AnswerVocabulary.load(tmp_path / "answers.json") == loaded


@pytest.mark.parametrize(
    "content",
    [{"yes": 0, "no": 2}, {"yes": 0.5, "no": 1}, {"yes": "0"}, [], ["a", "a"], [1], 3, None],
)
def test_files_without_an_answer_vocabulary_are_refused(tmp_path, content):
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"answers\.json: not an answer vocabulary"):
        AnswerVocabulary.load(path)


def test_a_single_question_is_not_taken_for_a_list_of_letters():
    assert [one.text for one in as_questions(["why?", "who?"])] == ["why?", "who?"]
    with pytest.raises(ValueError, match=r"questions 'why\?': must be a list .*: \['why\?'\]"):
        as_questions("why?")
