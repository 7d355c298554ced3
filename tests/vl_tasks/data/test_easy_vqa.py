import json

import numpy as np
import pytest
from PIL import Image

from vl_tasks.data.images import read_image
from vl_tasks.data.questions import question_images, read_questions
from vl_tasks.data.easy_vqa import convert_easy_vqa

ROWS = [
    ["what is the blue shape?", "rectangle", 0],
    ["is there a black shape?", "no", 0],
    ["what color is the shape?", "blue", 1],
]


@pytest.fixture
def source(tmp_path):
    """The package's folder of data with two pictures in each split."""
    for split in ("train", "test"):
        folder = tmp_path / "data" / split
        (folder / "images").mkdir(parents=True)
        (folder / "questions.json").write_text(json.dumps(ROWS))
        for number in range(2):
            picture = Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8))
            picture.save(folder / "images" / f"{number}.png")
    return tmp_path / "data"


def test_read_back_as_vqa_v2(source, tmp_path):
    files = convert_easy_vqa(tmp_path / "out", source)
    train, test = (
        read_questions(files.questions(split), files.annotations(split))
        for split in ("train", "test")
    )
    assert [one.text for one in train] == [row[0] for row in ROWS]
    assert train[0].answers == ("rectangle",) * 10
    assert [one.answer_type for one in train] == ["other", "yes/no", "other"]
    assert train[1].question_type == "is there"
    assert not {one.image_id for one in train} & {one.image_id for one in test}
    assert len({one.question_id for one in train + test}) == 6
    pictures = question_images(test, files.images("test"))
    assert np.asarray(read_image(pictures[test[2].image_id])).max() == 40


def test_what_is_missing_is_named(source, tmp_path):
    (source / "test" / "images" / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.png: a question asks about it"):
        convert_easy_vqa(tmp_path / "out", source)
    (source / "train" / "questions.json").write_text("[[1]]")
    with pytest.raises(ValueError, match=r"questions\.json: not the questions of easy-vqa"):
        convert_easy_vqa(tmp_path / "out", source)


def test_the_installed_package_is_found(tmp_path):
    files = convert_easy_vqa(tmp_path, splits=["test"])
    questions = read_questions(files.questions("test"), files.annotations("test"))
    assert len(questions) == 9673
    assert len({one.majority_answer for one in questions}) == 13
    assert len(question_images(questions, files.images("test"))) == 1000
