import json

import pytest

from vl_tasks.vqa.answers import AnswerVocabulary
from vl_tasks.vqa.own_questions import own_file, read_own

CSV = """\ufeffimage,question,answer,note
a.jpg,what colour is it?,red|crimson,x
b/c.png,"how many, roughly?",2,
a.jpg,is it round?,yes,
"""


def test_csv_and_json_say_the_same(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text(CSV, encoding="utf-8")
    found = read_own(path)
    assert found.photos == ["a.jpg", "b/c.png"]
    assert [one.image_id for one in found.questions] == [0, 1, 0]
    assert found.questions[1].text == "how many, roughly?"
    rows = [("a.jpg", "what colour is it?", "red|crimson"), ("b/c.png", "how many, roughly?", "2")]
    rows.append(("a.jpg", "is it round?", "yes"))
    other = tmp_path / "questions.json"
    records = [dict(zip(("image", "question", "answer"), row, strict=True)) for row in rows]
    other.write_text(json.dumps(records))
    assert read_own(other).questions == found.questions
    with pytest.raises(ValueError, match=r"there are questions\.csv and questions\.json"):
        own_file(tmp_path)


def test_every_answer_that_is_given_is_wholly_right(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text(CSV, encoding="utf-8")
    questions = read_own(path).questions
    answers = AnswerVocabulary(["red", "crimson", "2", "yes"])
    assert [answers.scores(one) for one in questions] == [{0: 1.0, 1: 1.0}, {2: 1.0}, {3: 1.0}]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("image,question\na.jpg,why\n", "its first line lacks answer"),
        ("image,question,answer\n", "there is no question in it"),
        ("image,question,answer\na.jpg,why?, \n", "record 0: its answer is blank"),
        ("image,question,answer\na.jpg,why?,x|\n", "record 0: one of its answers is blank"),
        ("image,question,answer\na.jpg,,x\n", "record 0: its question is blank"),
        ("image,question,answer\na.jpg,a,b,c\n", "record 0: it has more or fewer fields"),
        ("image,question,answer\na.jpg,a\n", "record 0: it has more or fewer fields"),
        (b"image,question,answer\na.jpg,\xff\xfe,x\n", "not a CSV file in UTF-8"),
        ('image,question,answer\na.jpg,"a"b,x\n', "not a CSV file in UTF-8"),
    ],
)
def test_bad_files_are_named(tmp_path, content, complaint):
    path = tmp_path / "questions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"questions\.csv: {complaint}"):
        read_own(path)


def test_photos_are_looked_for_in_all_folders(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text(CSV, encoding="utf-8")
    found = read_own(path)
    inner = tmp_path / "images"
    (inner / "b").mkdir(parents=True)
    (inner / "b/c.png").write_text("")
    with pytest.raises(FileNotFoundError, match=r"questions\.csv: there is no photo a\.jpg in "):
        found.find([inner, tmp_path])
    (tmp_path / "a.jpg").write_text("")
    assert found.find([inner, tmp_path]) == {0: tmp_path / "a.jpg", 1: inner / "b/c.png"}
