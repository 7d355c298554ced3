import os

import pytest

from vl_tasks import house_tasks
from vl_tasks.house_tasks import HouseTaskFiles, folders
from vl_tasks.settings.configs import VqaConfig


@pytest.mark.parametrize(
    ("ending", "readable"), [(r"\.jsonl?", r"dev\.json"), (r"_questions\.json", r"dev_questions")]
)
def test_a_missing_split_is_told_without_patterns(tmp_path, ending, readable):
    with pytest.raises(FileNotFoundError, match=rf"whose name would end in {readable}") as error:
        folders.split_file(tmp_path, "dev", ending)
    assert not set(str(error.value).split("would end in")[1]) & set("?\\*")
    assert "docs/vl_tasks.md" in str(error.value)


def test_a_missing_split_is_told_with_those_that_are_there(tmp_path):
    for name in ("train_questions.json", "v2_val2014_questions.json", "val_annotations.json"):
        (tmp_path / name).touch()
    there = (
        r"there are train_questions\.json, v2_val2014_questions\.json; name splits of these with "
    )
    with pytest.raises(FileNotFoundError, match=there) as error:
        folders.split_file(tmp_path, "val_unseen", r"_questions\.json")
    for flag in ("--train-splits", "--select-by", "--evaluation-splits", "--submit"):
        assert flag in str(error.value)


def test_systems_that_do_not_tell_a_process_its_processors(tmp_path, monkeypatch):
    def house_files(workers):
        assert workers == 3
        return HouseTaskFiles(tmp_path)

    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(house_tasks, "cached_house_tasks", house_files)
    assert folders.data_folder(VqaConfig()) == tmp_path
