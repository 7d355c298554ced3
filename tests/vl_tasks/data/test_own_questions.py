import json

import pytest

from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.data.own_questions import find_own_questions, read_own_questions

CSV = """\ufeffimage,question,answer,note
a.jpg,what colour is it?,red|crimson,x
b/c.png,"how many, roughly?",2,
a.jpg,is it round?,yes,
"""


def test_csv_and_json_are_equivalent(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text(CSV, encoding="utf-8")
    own = read_own_questions(path)
    assert own.photos == ["a.jpg", "b/c.png"]
    assert [one.image_id for one in own.questions] == [0, 1, 0]
    assert own.questions[1].text == "how many, roughly?"
    rows = [("a.jpg", "what colour is it?", "red|crimson"), ("b/c.png", "how many, roughly?", "2")]
    rows.append(("a.jpg", "is it round?", "yes"))
    other = tmp_path / "questions.json"
    records = [dict(zip(("image", "question", "answer"), row, strict=True)) for row in rows]
    other.write_text(json.dumps(records))
    assert read_own_questions(other).questions == own.questions
    with pytest.raises(ValueError, match=r"contains both questions\.csv and questions\.json"):
        find_own_questions(tmp_path)


def test_every_answer_of_a_question_has_the_full_score(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text(CSV, encoding="utf-8")
    questions = read_own_questions(path).questions
    answers = AnswerVocabulary(["red", "crimson", "2", "yes"])
    assert [answers.scores(one) for one in questions] == [{0: 1.0, 1: 1.0}, {2: 1.0}, {3: 1.0}]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("image,question\na.jpg,why\n", "its first line must name answer once"),
        ("image,question,answer,answer\na.jpg,a,b,c\n", "its first line must name answer once"),
        ("image;question;answer\na.jpg;a;b\n", "its first line .*, separated by commas"),
        ("image,question,answer\n", "it contains no question"),
        ("image,question,answer\na.jpg,why?, \n", "record 0: its answer is blank"),
        ("image,question,answer\na.jpg,why?,x|\n", "record 0: one of its answers is blank"),
        ("image,question,answer\na.jpg,,x\n", "record 0: its question is blank"),
        ("image,question,answer\na.jpg,a,b,c\n", "record 0: it has more or fewer fields"),
        ("image,question,answer\na.jpg,a\n", "record 0: it has more or fewer fields"),
        (b"image,question,answer\na.jpg,\xff\xfe,x\n", "not a CSV file in UTF-8"),
        ('image,question,answer\na.jpg,"a"b,x\n', "not a CSV file in UTF-8"),
    ],
)
def test_errors_name_bad_files_of_own_questions(tmp_path, content, complaint):
    path = tmp_path / "questions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"questions\.csv: {complaint}"):
        read_own_questions(path)


def test_photos_are_searched_in_all_folders(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text(CSV, encoding="utf-8")
    own = read_own_questions(path)
    inner = tmp_path / "images"
    (inner / "b").mkdir(parents=True)
    (inner / "b/c.png").write_text("")
    with pytest.raises(FileNotFoundError, match=r"questions\.csv: there is no photo a\.jpg in "):
        own.find([inner, tmp_path])
    (tmp_path / "a.jpg").write_text("")
    assert own.find([inner, tmp_path]) == {0: tmp_path / "a.jpg", 1: inner / "b/c.png"}
