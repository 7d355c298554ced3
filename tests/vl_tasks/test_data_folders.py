import pytest

from clipnav.vl_tasks import data_folders, house_tasks
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
from clipnav.vl_tasks.house_tasks import HouseTaskFiles
from clipnav.vl_tasks.house_tasks.languages.lexicons import LANGUAGES
from clipnav.vl_tasks.vqa.settings import VqaConfig


def test_errors_of_missing_splits_list_the_existing_files(tmp_path):
    for name in ("train_questions.json", "v2_val2014_questions.json", "val_annotations.json"):
        (tmp_path / name).touch()
    listed = r"contains train_questions\.json, v2_val2014_questions\.json; select the splits of "
    with pytest.raises(FileNotFoundError, match=listed) as error:
        data_folders.split_file(tmp_path, "val_unseen", "_questions.json")
    for flag in ("--train-splits", "--select-by", "--evaluation-splits", "--submit"):
        assert flag in str(error.value)


@pytest.mark.parametrize(
    ("config", "languages"),
    [
        (VqaConfig(), ()),
        (VqaConfig(languages=("fr",)), LANGUAGES),
        (VqaConfig(evaluation_languages=("en", "fr")), LANGUAGES),
        (PretrainVlConfig(languages=("en", "hi")), LANGUAGES),
    ],
)
def test_house_tasks_have_the_languages_of_training_and_evaluation(
    tmp_path, monkeypatch, config, languages
):
    def house_files(tasks=None, workers=None):
        assert (() if tasks is None else tasks.languages) == languages
        return HouseTaskFiles(tmp_path)

    monkeypatch.setattr(house_tasks, "cached_house_tasks", house_files)
    assert data_folders.data_folder(config) == tmp_path


def test_json_lines_take_precedence_over_json(tmp_path):
    for name in ("lxmert_dev.json", "ve_train.json", "snli_ve_dev.jsonl"):
        (tmp_path / name).touch()
    assert data_folders.split_file(tmp_path, "dev", ".jsonl", ".json").name == "snli_ve_dev.jsonl"
    assert data_folders.split_file(tmp_path, "train", ".jsonl", ".json").name == "ve_train.json"
    (tmp_path / "lxmert_train.json").touch()
    with pytest.raises(ValueError, match="several files of split 'train'"):
        data_folders.split_file(tmp_path, "train", ".jsonl", ".json")


def test_a_file_is_not_taken_for_a_missing_data_folder(tmp_path):
    path = tmp_path / "questions.csv"
    path.touch()
    with pytest.raises(NotADirectoryError, match=r"questions\.csv: is a file; set --data to the"):
        data_folders.data_folder(VqaConfig(preset="small", data=str(path)))
