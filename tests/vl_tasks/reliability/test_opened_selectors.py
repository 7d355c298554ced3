"""Selectors that are opened again after their training."""

import shutil

import numpy as np
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
        patched.setattr("clipnav.vl_tasks.reliability.training._finish", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_command("train-selector", "--resume", folder, "--epochs", 4)
    with pytest.raises(ValueError, match=f"those of earlier weights.* --resume {folder}"):
        run_command(*arguments, "--max-risk", 30)
    run_command("train-selector", "--resume", folder, "--epochs", 4)
    assert "confidence" in run_command(*arguments, "--max-risk", 30)


def _interrupt(*arguments):
    raise KeyboardInterrupt


def test_shifted_images_have_their_own_regions(run_command, shapes, tmp_path):
    data, run, folder = tmp_path / "data", tmp_path / "vqa", tmp_path / "selector"
    shutil.copytree(shapes, data)
    regions = write_regions(shapes, tmp_path / "regions")
    small = (
        "--pythia.hidden-size 8 --pythia.attention-size 8 --pythia.product-size 16 "
        "--pythia.text-head-size 8 --embedding-size 8 --iterations 2 --min-count 1 --threads 1 "
        "--train-splits train --select-by val --evaluation-splits val"
    )
    paths = ("--data", shapes, "--regions", regions, "--output", run)
    run_command("finetune-vqa", *paths, *small.split())
    flags = ("--method", "maxprob", "--split", "train", "--threads", 1, "--output", folder)
    run_command("train-selector", run, *flags)
    shift = ("--shift.data", data, "--shift.split", "val", "--resamples", 0)
    with pytest.raises(FileNotFoundError, match="put the region features of the shifted images"):
        run_command("evaluate-reliability", folder, *shift)
    regions.rename(data / "regions")
    run_command("evaluate-reliability", folder, *shift)


def test_shifted_training_questions_are_warned_of(run_command, selector, shapes, tmp_path, caplog):
    other = tmp_path / "other"  # whose split of the same name is no training data
    shutil.copytree(shapes, other, ignore=shutil.ignore_patterns("images"))
    caplog.clear()
    for data, split in ((shapes, "val"), (other, "train"), (shapes, "train")):
        assert not caplog.messages
        flags = ("--shift.data", data, "--shift.split", split, "--resamples", 0)
        run_command("evaluate-reliability", selector, *flags)
    (message,) = caplog.messages
    assert message.startswith("train is one of --train-splits: ")
    assert message.endswith("name another split with --shift.split")


def write_regions(shapes, folder):
    """Write random region features of all images of the shapes; return their folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for path in (shapes / "images").glob("*/*.png"):
        np.savez(folder / f"{path.stem}.jpg.npz", x=rng.normal(size=(5, 4)).astype(np.float32))
    return folder
