import shutil

import pytest


@pytest.mark.parametrize("words", [[], ["--list"]])
def test_without_a_choice_all_groups_of_files_are_listed(words, command, monkeypatch):
    monkeypatch.setattr("clipnav.envs.real_data.download", None)
    done = command("download-data", *words)
    assert done.returncode == 0, done.stderr
    groups = [line.split(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert groups[:3] == ["connectivity", "r2r", "r2r-augmentation"]
    assert groups[-2:] == ["r4r", "Download groups by name"]
    assert "(24 MB; " in done.stdout
    assert "https://storage.googleapis.com/rxr-data/rxr_train_guide.jsonl.gz" in done.stdout


def test_makes_r4r_of_the_r2r_that_is_there(command, tiny_world, tmp_path):
    data = shutil.copytree(tiny_world, tmp_path / "data")
    shutil.copy(data / "r2r" / "R2R_train.json", data / "r2r" / "R2R_val_seen.json")
    shutil.copy(data / "r2r" / "R2R_train.json", data / "r2r" / "R2R_val_unseen.json")
    done = command("download-data", "--only", "r4r", "--data-dir", data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(data / "r4r" / "R4R_train.json")
    assert (data / "r4r" / "R4R_val_unseen.json").is_file()
    own = data / "r4r" / "R4R_train.json"
    own.write_text("[]")
    done = command("download-data", "--only", "r4r", "--data-dir", data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{own}: exists and is kept; move it away")
    assert own.read_text() == "[]"


def test_a_folder_that_cannot_be_made_is_one_line(command, tmp_path):
    (tmp_path / "file").touch()
    done = command("download-data", "--only", "r2r", "--data-dir", tmp_path / "file")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'file'}: is a file; name a folder\n")
    assert "dropbox" not in done.stderr


def test_errors_name_missing_files_and_unknown_groups(command, tmp_path):
    done = command("download-data", "--only", "r4r", "--data-dir", tmp_path)
    assert done.returncode == 1
    assert "this folder of navigation graphs does not exist" in done.stderr
    assert "Traceback" not in done.stderr
    done = command("download-data", "--only", "cvdn", "--data-dir", tmp_path)
    assert done.returncode == 1
    assert "--only cvdn is not one of connectivity, r2r" in done.stderr
    assert ", r4r\n" in done.stderr
