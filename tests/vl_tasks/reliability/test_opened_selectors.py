"""Selectors that are opened again after their training."""

import shutil

import pytest

from clipnav.cli import main


@pytest.fixture(scope="module")
def selector(blind_run, tmp_path_factory):
    """Folder of a calibration."""
    folder = tmp_path_factory.mktemp("selectors") / "calibration"
    flags = "--method calibration --split train --threads 1 --epochs 2 --batch-size 8"
    main(["train-selector", str(blind_run), *flags.split(), "--output", str(folder)])
    return folder


def test_thresholds_of_earlier_weights_are_refused(
    run_command, blind_run, selector, tmp_path, monkeypatch
):
    folder = tmp_path / "s"
    shutil.copytree(selector, folder)
    arguments = ("answer", "no.jpg", "what shape is it?", "--run", blind_run, "--selector", folder)
    with monkeypatch.context() as patched:
        patched.setattr("vl_tasks.reliability.training._finish", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_command("train-selector", "--resume", folder, "--epochs", 4)
    with pytest.raises(ValueError, match=f"those of earlier weights.* --resume {folder}"):
        run_command(*arguments, "--max-risk", 30)
    run_command("train-selector", "--resume", folder, "--epochs", 4)
    assert "confidence" in run_command(*arguments, "--max-risk", 30)


def _interrupt(*arguments):
    raise KeyboardInterrupt
