from pathlib import Path

import pytest

from clipnav import load_run
from clipnav.commands.viewer.visualise import SAMPLE
from clipnav.training.settings import CONFIG


def test_a_missing_sample_is_reported(command, monkeypatch, tmp_path):
    monkeypatch.setattr("clipnav.commands.viewer.visualise.SAMPLE", tmp_path)
    done = command("visualise", "--sample", "--no-browser")
    assert done.returncode == 1
    assert "--sample: this version of clipnav contains no trained run" in done.stderr


def test_the_sample_is_a_run_beside_others(command, monkeypatch, tmp_path):
    (tmp_path / CONFIG).touch()
    shown = []
    monkeypatch.setattr("clipnav.commands.viewer.visualise.SAMPLE", tmp_path)
    monkeypatch.setattr("clipnav.commands.viewer.visualise.serve", shown.append)
    monkeypatch.setattr("clipnav.commands.viewer.visualise.load_content", shown.append)
    monkeypatch.setattr("clipnav.commands.viewer.visualise.write", lambda *_: None)
    command("visualise", "mine", "--sample")
    command("visualise", "--sample", "--episodes", "3")
    command("visualise", "--sample", "--export", "page.html")
    assert [config.sources for config in shown] == [
        (tmp_path, Path("mine")),
        (tmp_path,),
        (tmp_path,),
    ]
    assert [config.episodes for config in shown] == [24, 3, None]


@pytest.mark.skipif(not (SAMPLE / CONFIG).is_file(), reason="make sample has not been run")
def test_the_sample_is_small_and_fits_the_encoder_of_today():
    assert sum(file.stat().st_size for file in SAMPLE.iterdir()) < 6e6
    load_run(SAMPLE, "val_unseen")
