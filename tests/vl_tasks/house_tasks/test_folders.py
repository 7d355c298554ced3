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


def test_systems_that_do_not_tell_a_process_its_processors(tmp_path, monkeypatch):
    def house_files(workers):
        assert workers == 3
        return HouseTaskFiles(tmp_path)

    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(house_tasks, "cached_house_tasks", house_files)
    assert folders.data_folder(VqaConfig()) == tmp_path
