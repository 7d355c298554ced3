"""Questions of several languages, TSV files, and scores."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.multilingual.questions import by_language, read_language_questions, read_tsv
from clipnav.vl_tasks.multilingual.task import MultilingualTask, score_languages
from clipnav.vl_tasks.subsets import is_held_out
from tests.vl_tasks.small_networks import preset

HEADER = "image_file\tquestion\tanswer_label\tquestion_type\tlang\n"
ROWS = (
    "a.jpg\twhat is it?\tlamp\twhat is\ten\n"
    "a.jpg\tis it red?\tyes\tis it\ten\n"
    "b.jpg\thow many?\t2\thow many\ten\n"
    "a.jpg\tqu'est-ce ?\tlamp\twhat is\tfr\n"
    "a.jpg\test-ce rouge ?\tyes\tis it\tfr\n"
    "b.jpg\tcombien ?\t2\thow many\tfr\n"
)


def tsv(folder, content):
    path = folder / "train.tsv"
    path.write_text(content)
    return path


def test_questions_of_languages_share_ids_and_annotations(languages):
    questions = read_language_questions(languages, "val", ("en", "hi"))
    groups = by_language(questions)
    assert list(groups) == ["en", "hi"]
    for english, hindi in zip(*groups.values(), strict=True):
        assert english.question_id == hindi.question_id
        assert english.answers == hindi.answers
        assert english.text != hindi.text
    secret = read_language_questions(languages, "test", ("fr",), secret=True)
    assert len(secret) == 12
    assert not secret[0].answers


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda ids: ids[1:], "questions.json: question_id {}: the question is missing"),
        (lambda ids: [*ids, ids[0] + 999], "question_id 1.*: the question has no annotation"),
        (lambda ids: [*ids, ids[0]], "questions.json: question_id {}: it occurs twice"),
        (None, "fr: no file of split 'val'"),
    ],
)
def test_incomplete_languages_are_to_be_translated_again(languages, tmp_path, change, problem):
    folder = tmp_path / "data"
    shutil.copytree(languages, folder)
    (path,) = (folder / "languages" / "fr").glob("*_val_questions.json")
    records = {one["question_id"]: one for one in json.loads(path.read_text())["questions"]}
    first, *_ = records
    if change is None:
        path.unlink()
    else:
        asked = [{**records.get(k, records[first]), "question_id": k} for k in change([*records])]
        path.write_text(json.dumps({"questions": asked}))
    hint = f"translate-questions --data {folder} --language fr --splits val"
    with pytest.raises((ValueError, FileNotFoundError), match=problem.format(first)) as caught:
        read_language_questions(folder, "val", ("en", "fr"))
    assert hint in str(caught.value)
    assert "visualqa.org" not in str(caught.value)


def test_tsv_rows_of_a_fact_share_an_id(tmp_path):
    images = {"earlier.jpg": 0}
    questions = read_tsv(tsv(tmp_path, HEADER + ROWS), None, images)
    assert images == {"earlier.jpg": 0, "a.jpg": 1, "b.jpg": 2}
    english, french = by_language(questions).values()
    assert [one.question_id for one in english] == [one.question_id for one in french]
    assert len({one.question_id for one in english}) == 3
    assert [one.majority_answer for one in french] == ["lamp", "yes", "2"]
    assert [one.answer_type for one in english] == ["other", "yes/no", "number"]
    assert english[2].question_type == "how many"
    assert len(english[0].answers) == 10


@pytest.mark.parametrize(
    ("lines", "shared"),
    [
        (["a.jpg\tqu'est-ce ?\tlamp", "b.jpg\tcombien ?\t2"], True),
        (["a.jpg\test-ce rouge ?\tyes", "a.jpg\tqu'est-ce ?\tlamp"], False),
        (["b.jpg\tcombien ?\t2"], True),
    ],
    ids=["missing row", "other order", "missing image"],
)
def test_languages_share_ids_only_where_their_answers_agree(tmp_path, caplog, lines, shared):
    rows = ROWS[: ROWS.index("a.jpg\tqu")] + "".join(f"{line}\t\tfr\n" for line in lines)
    rows += "a.jpg\twas ist es?\tlamp\t\tde\na.jpg\tist es rot?\tyes\t\tde\n"
    images = {}
    groups = by_language(read_tsv(tsv(tmp_path, HEADER + rows), None, images))
    ids = {name: {one.question_id for one in own} for name, own in groups.items()}
    assert {name: len(numbers) for name, numbers in ids.items()} == {
        "en": 3,
        "fr": len(lines),
        "de": 2,
    }
    expected = {one.question_id for one in groups["en"] if one.image_id == images["b.jpg"]}
    assert ids["en"] & ids["fr"] == (expected if shared else set())
    assert ids["de"] < ids["en"]  # a language that lacks a row does not affect the others
    is_different = any(line.startswith("a.jpg") for line in lines)
    assert ("1 of 2 images, such as a.jpg" in caplog.text) == is_different


def test_numbers_are_labels_of_the_answer_vocabulary(tmp_path):
    rows = "image_file\tquestion\tanswer_label\na.jpg\twhat?\t1\n"
    (question,) = read_tsv(tsv(tmp_path, rows), ["<unk>", "cat"], {})
    assert (question.majority_answer, question.language) == ("cat", "en")
    power = rows.replace("\t1\n", "\t\N{SUPERSCRIPT TWO}\n")  # a digit, but not a number
    (question,) = read_tsv(tsv(tmp_path, power), ["<unk>", "cat"], {})
    assert question.majority_answer == "\N{SUPERSCRIPT TWO}"
    with pytest.raises(ValueError, match="contains numbers of answers; set --answers"):
        read_tsv(tsv(tmp_path, rows), None, {})
    with pytest.raises(ValueError, match=r"record 0.*answer_label 1 is not the number of one of 1"):
        read_tsv(tsv(tmp_path, rows), ["<unk>"], {})


def test_answers_without_a_given_vocabulary_are_normalised(tmp_path):
    rows = HEADER + "a.jpg\twhat?\tA lamp\t\ten\nb.jpg\tis it?\tYes\t\ten\n"
    questions = read_tsv(tsv(tmp_path, rows), None, {})
    assert [one.answer_type for one in questions] == ["other", "yes/no"]
    # The majority answer is looked up in this vocabulary, and the accuracy compares literally.
    vocabulary = AnswerVocabulary.build(questions, 1)
    assert [one.majority_answer in vocabulary.classes for one in questions] == [True, True]
    answers = {one.question_id: one.majority_answer for one in questions}
    assert score_languages(questions, {"en": answers}).accuracy == 100.0
    listed = read_tsv(tsv(tmp_path, rows), ["A lamp", "Yes"], {})
    assert [one.majority_answer for one in listed] == ["A lamp", "Yes"]
    with pytest.raises(ValueError, match=r"train\.tsv: record 1.*'The' is only an article"):
        read_tsv(tsv(tmp_path, rows.replace("Yes", "The")), None, {})


def test_labels_are_scored_in_the_form_of_the_given_vocabulary(tmp_path):
    rows = HEADER + "a.jpg\twhat?\tT-shirt\t\ten\nb.jpg\twhat?\tX-ray\t\ten\n"
    questions = read_tsv(tsv(tmp_path, rows), ["<unk>", "t shirt", "X-ray"], {})
    assert [one.majority_answer for one in questions] == ["T-shirt", "X-ray"]
    answers = {
        one.question_id: text for one, text in zip(questions, ("t shirt", "X-ray"), strict=True)
    }
    assert score_languages(questions, {"en": answers}).accuracy == 100.0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("image_file\tquestion\na.jpg\twhat?\n", "must name answer_label once, separated by tabs"),
        ("", "its first line must name image_file, question, answer_label once"),
        (HEADER.replace("question_type", "lang"), "its first line must name lang once"),
        (HEADER, "it contains no question"),
        (HEADER + "a.jpg\twhat?\n", "record 0.*more or fewer fields"),
        (HEADER + "a.jpg\t \tlamp\t\ten\n", "record 0.*its question is blank"),
        (HEADER + "a.jpg\twhat?\tlamp\t\ten\textra\n", "record 0.*more or fewer fields"),
        (HEADER + 'a.jpg\t"what?\tlamp\t\ten\n', "not a TSV file"),
    ],
)
def test_damaged_tsv_files_are_named(tmp_path, content, problem):
    path = tsv(tmp_path, content)
    with pytest.raises(ValueError, match=problem) as caught:
        read_tsv(path, None, {})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_accuracy_per_language_and_consistency(tmp_path):
    questions = read_tsv(tsv(tmp_path, HEADER + ROWS), None, {})
    first, second, third = (one.question_id for one in questions[:3])
    predictions = {
        "en": {first: "lamp", second: "yes", third: "3"},
        "fr": {first: "lamp", second: "no", third: "3"},
    }
    scores = score_languages(questions, predictions)
    assert {name: one.overall for name, one in scores.languages.items()} == {
        "en": 66.67,
        "fr": 33.33,
    }
    assert scores.accuracy == pytest.approx(50.0)
    # The same wrong answer in both languages is consistent.
    assert scores.consistency == pytest.approx(100 * 2 / 3)
    assert scores.agreement == {"fr": pytest.approx(100 * 2 / 3)}
    assert scores.text == (
        "accuracy 50.00 (V2, 6 questions in 2 languages): en 66.67, fr 33.33; consistency 66.67"
    )
    assert asdict(scores)["shared"] == 3


def test_questions_of_two_files_are_different_and_held_out_as_in_pre_training(
    tmp_path, monkeypatch
):
    network = SimpleNamespace(network=None, metadata={}, encode=lambda questions: None)
    monkeypatch.setattr(MultilingualTask, "make_inputs", lambda self: network)
    names = [f"photos/COCO_train2014_{number:012d}.jpg" for number in range(7, 87)]
    for file, row in {"more": "what is it?\tlamp\twhat", "train": "is it red?\tyes\tis it"}.items():
        rows = "".join(f"{name}\t{row}\ten\n" for name in names)
        tsv(tmp_path, HEADER + rows).rename(tmp_path / f"{file}.tsv")
    changes = {"data": str(tmp_path), "train_splits": ("train", "more"), "agreement": 0.0}
    learner = MultilingualTask(replace(preset("vqa", "small-multilingual"), **changes))
    assert sorted(learner.answers.answers) == ["lamp", "yes"]
    held = learner.splits["held-out"]
    assert len({one.question_id for one in (*learner.examples, *held)}) == 160
    expected = {k for k, name in enumerate(names) if is_held_out(Path(name).stem)}
    assert {one.image_id % len(names) for one in held} == expected
