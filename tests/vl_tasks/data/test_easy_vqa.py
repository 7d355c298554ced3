import json
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from clipnav.vl_tasks.data import easy_vqa
from clipnav.vl_tasks.data.easy_vqa import convert_easy_vqa
from clipnav.vl_tasks.data.images import read_image
from clipnav.vl_tasks.data.questions import question_images, read_questions

ROWS = [
    ["what is the blue shape?", "rectangle", 0],
    ["is there a black shape?", "no", 0],
    ["what color is the shape?", "blue", 1],
]


@pytest.fixture
def source(tmp_path):
    """Data folder like that of the package, with two images per split."""
    for split in ("train", "test"):
        folder = tmp_path / "data" / split
        (folder / "images").mkdir(parents=True)
        (folder / "questions.json").write_text(json.dumps(ROWS))
        for number in range(2):
            image = Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8))
            image.save(folder / "images" / f"{number}.png")
    return tmp_path / "data"


def test_converted_files_are_read_as_vqa_v2(source, tmp_path):
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
    images = question_images(test, files.images("test"))
    assert np.asarray(read_image(images[test[2].image_id])).max() == 40


@pytest.mark.long
def test_the_installed_package_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(easy_vqa, "atomic_write", nullcontext)  # a thousand images
    files = convert_easy_vqa(tmp_path, splits=["test"])
    questions = read_questions(files.questions("test"), files.annotations("test"))
    assert len(questions) == 9673
    assert len({one.majority_answer for one in questions}) == 13
    assert len(question_images(questions, files.images("test"))) == 1000
