import json
import pickle
import re
from collections import Counter

import numpy as np
import pytest

from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.parts import (
    divide_images,
    questions_of_parts,
    read_parts,
    read_published_ids,
    write_parts,
)

QUESTIONS = [Question(k, k // 3, "?") for k in range(300)]


def test_images_are_divided_at_random_without_overlap(tmp_path):
    parts = divide_images(QUESTIONS)
    assert {name: len(ids) for name, ids in parts.items()} == {"dev": 40, "val": 10, "test": 50}
    assert Counter(image for ids in parts.values() for image in ids) == Counter(range(100))
    assert divide_images(QUESTIONS) == parts
    assert divide_images(QUESTIONS, seed=1) != parts
    assert parts["dev"] != list(range(40))
    write_parts(tmp_path / "parts.json", parts)
    assert read_parts(tmp_path / "parts.json") == parts


def test_questions_of_an_image_stay_together():
    divided = questions_of_parts(QUESTIONS, parts := divide_images(QUESTIONS), "it")
    assert {name: len(rows) for name, rows in divided.items()} == {
        name: 3 * len(ids) for name, ids in parts.items()
    }


@pytest.mark.parametrize(
    ("shares", "problem"),
    [
        ((0.5, 0.5, 0.5), "add up to 1"),
        ((1.0, -0.5, 0.5), "positive"),
        ((float("nan"), 0.5, 0.5), "positive"),
        ((0.001, 0.001, 0.998), "dev"),
    ],
)
def test_bad_shares_are_refused(shares, problem):
    with pytest.raises(ValueError, match=problem):
        divide_images(QUESTIONS, shares)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dev": []}, "'dev' is not a list of image ids"),
        ({"val": ["a"]}, "'val' is not a list of image ids"),
        ({"val": [0]}, "image 0 occurs twice"),
        ({"more": [7]}, "other keys"),
    ],
)
def test_bad_divisions_are_refused_with_one_line(tmp_path, change, problem):
    path = tmp_path / "parts.json"
    path.write_text(json.dumps({"dev": [0, 1], "val": [2], "test": [3], **change}))
    with pytest.raises(ValueError, match=problem) as refused:
        read_parts(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_division_of_another_split_is_refused():
    parts = divide_images(QUESTIONS)
    with pytest.raises(ValueError, match="image 777 of question_id 9 is in no part"):
        questions_of_parts([Question(9, 777, "?")], parts, "it")
    with pytest.raises(ValueError, match="image 777 has no question"):
        questions_of_parts(QUESTIONS, {**parts, "dev": [*parts["dev"], 777]}, "it")


def save_published(path, ids):
    """Write mmf's format: a first record about the file, then a record per question."""
    records = [{"dataset_name": "vqa2"}]
    records += [{"image_id": k, "question_tokens": ["is", "it"], "answers": ["a"]} for k in ids]
    np.save(path, np.array(records, dtype=object))


def test_published_divisions_are_read(tmp_path):
    for name, ids in {"dev": [3, 1, 3], "val": [2], "test": [9, 8]}.items():
        save_published(tmp_path / f"imdb_val2014-{name}.npy", ids)
    assert read_parts(tmp_path) == {"dev": [1, 3], "val": [2], "test": [8, 9]}


class Trap:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_published_files_execute_nothing(tmp_path):
    path = tmp_path / "imdb.npy"
    np.save(path, np.array([Trap(tmp_path / "sprung"), {"image_id": 1}], dtype=object))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_published_ids(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content", [np.arange(3), np.array([{"image_id": "a"}], dtype=object), np.array([], object)]
)
def test_other_arrays_are_refused(tmp_path, content):
    path = tmp_path / "imdb.npy"
    np.save(path, content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_published_ids(path)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match="not a published division"):
        read_published_ids(path)
