"""Comparison of encoders by VQA: from images to the table, ready-made features, resuming."""

import json
from pathlib import Path

import numpy as np
import pytest

from clipnav.storage.errors import UserError
from clipnav.training.comparisons import SCORES, ComparisonRow
from clipnav.vl_tasks.house_tasks import HouseTaskFiles
from clipnav.vl_tasks.vqa.comparison import make_job, run_job, train_all, vqa_splits


@pytest.fixture(scope="module")
def training(shapes) -> list[str]:
    """Arguments of a training of a few seconds."""
    return [
        *("--data", str(shapes), "--iterations", "4", "--evaluate-every", "2"),
        *("--batch-size", "8", "--min-count", "1", "--optimiser.warmup", "1"),
    ]


@pytest.fixture(scope="module")
def regions(tmp_path_factory, shapes) -> Path:
    """Features of two regions per image, the mean colour of its halves."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("regions")
    for path in sorted((shapes / "images").rglob("*.png")):
        halves = np.asarray(Image.open(path), np.float32).reshape(2, -1, 3).mean(1) / 255
        np.savez(folder / f"{path.stem}.npz", x=halves.T)
    return folder


def test_from_images_to_the_table_and_not_twice(run_command, training, regions, tmp_path):
    command = [
        *("compare-vqa-encoders", "--encoders", "house_clip", "house_clip:random"),
        *(f"mine={regions}", "--ablations", "no-vision", "--seeds", "2", "--workers", "1"),
        *("--splits", "val", "--output", tmp_path, "--", *training),
    ]
    printed = run_command(*command)
    report = json.loads((tmp_path / "comparison.json").read_text())["val"]
    rows = ["house_clip", "house_clip:random", "mine", "no-vision"]
    assert list(report) == rows
    for name in rows:
        figure = report[name]["accuracy"]
        assert len(figure["runs"]) == 2
        for seed, run in enumerate(figure["runs"]):
            folder = tmp_path / "runs" / f"{name.replace(':', '-')}-{seed}"
            results = json.loads((folder / "results.json").read_text())
            assert 100 * run == pytest.approx(results["results"]["val"]["overall"], abs=0.01)
    assert report["mine"]["accuracy"]["against_first"] is not None
    assert (tmp_path / "comparison.md").read_text().count("| val |") == len(rows)
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    configs = [
        json.loads((tmp_path / "runs" / f"{name}-1" / "config.json").read_text())
        for name in ("house_clip", "house_clip-random", "mine", "no-vision")
    ]
    assert [config["grids"]["random_weights"] for config in configs] == [False, True, False, False]
    assert [config["vision"] for config in configs] == [True, True, True, False]
    assert configs[2]["regions"] == str(regions)

    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(made) == 8
    assert run_command(*command) == printed
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == made


@pytest.mark.parametrize(
    ("flags", "splits"),
    [
        ([], ["val_seen", "val_unseen"]),
        (["--preset", "small", "--data", "house"], ["val_seen", "val_unseen"]),
        (["--preset", "mcan-small", "--data=houses"], ["val_seen", "val_unseen"]),
        (["--data", "easy-vqa"], ["held-out", "test"]),
        (["--data", "photos"], ["held-out"]),
        (["--preset", "mcan-small"], ["val"]),
    ],
)
def test_the_splits_are_those_of_the_preset(flags, splits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    houses = HouseTaskFiles(tmp_path / "houses")
    houses.folder.mkdir()
    houses.summary.touch()
    assert list(vqa_splits(flags)) == splits


def test_missing_splits_are_reported_with_the_flag_of_the_comparison(
    run_command, training, tmp_path
):
    for split, problem in (("val_seen", "_questions"), ("test", "_annotations")):
        with pytest.raises(FileNotFoundError, match=rf"{split}{problem}.* of these with --splits$"):
            run_command(
                *("compare-vqa-encoders", "--splits", split, "--output", tmp_path / "all"),
                *("--", *training),
            )
    assert not (tmp_path / "all").exists()


def test_an_interrupted_run_is_resumed_bit_identically(training, regions, tmp_path):
    arguments = [*training, "--regions", str(regions), "--evaluation-splits", "val"]
    arguments += ["--select-by", "val"]
    whole = make_job(tmp_path / "whole", arguments)
    run_job(whole)
    expected = (whole.run / SCORES).read_text()
    assert all(
        score.keys() == {"image", "accuracy"} for score in json.loads(expected)["val"].values()
    )
    # A run that was stopped after half of its iterations.
    run = tmp_path / "row-0"
    half = make_job(run, arguments)
    from clipnav.vl_tasks.training import make_trainer, prepare
    from clipnav.vl_tasks.vqa.task import VqaTask

    prepare(half.config)
    trainer = make_trainer(VqaTask(half.config))
    for act in (trainer.step, trainer.step, trainer.evaluate, trainer.save, trainer.close):
        act()
    assert make_job(run, arguments).config.resume == run
    run_job(make_job(run, arguments))
    assert (run / SCORES).read_text() == expected
    # Finished runs are read, without a process.
    (run / SCORES).write_text(json.dumps({"val": {}}))
    assert train_all([ComparisonRow("row", tuple(arguments))], 1, tmp_path, 1) == {
        "row": [{"val": {}}]
    }
    with pytest.raises(ValueError, match="this comparison differ in iterations"):
        make_job(run, [*arguments, "--iterations", "5"])


def test_stores_of_viewpoints_and_trained_towers_are_refused(run_command, training, tmp_path):
    with pytest.raises(ValueError, match="contains views of viewpoints, not images of questions"):
        run_command(
            *("compare-vqa-encoders", "--encoders", "mine.safetensors", "--output", tmp_path),
            *("--", *training),
        )
    for model in (["clip-vil-p", "--start-from", str(tmp_path)], ["multilingual"]):
        problem = f"--model {model[0]} trains its own image tower, so encoders have no effect"
        with pytest.raises(UserError, match=problem):
            make_job(tmp_path / "run", ["--model", *model])


@pytest.mark.parametrize(
    "flags", [["--seed", "3"], ["--output=x"], ["--select-by", "val"], ["--grids.encoder", "RN50"]]
)
def test_flags_that_the_comparison_sets_are_refused(run_command, flags):
    with pytest.raises(ValueError, match=f"{flags[0].partition('=')[0]} after --: the comparison"):
        run_command("compare-vqa-encoders", "--", *flags)


def test_rows_without_grids_do_without_their_flags(regions):
    from clipnav.commands.tasks.compare_vqa_encoders import CompareVqaEncodersArguments, contestants

    encoders = "house_clip", f"mine={regions}"
    arguments = CompareVqaEncodersArguments(encoders=encoders, ablations=("no-vision",))
    flags = ["--grids.precision", "fp32", "--no-standardise", "--grids.no-keep", "--images=photos"]
    flags += ["--mcan.no-positions"]
    seen, mine, blind = contestants(arguments, [*flags, "--iterations", "4"])
    assert seen.arguments[: len(flags)] == tuple(flags)
    kept = ("--mcan.no-positions", "--iterations", "4")
    assert mine.arguments == ("--no-standardise", *kept, "--regions", str(regions))
    assert blind.arguments == (*kept, "--no-vision")
    only = CompareVqaEncodersArguments(encoders=encoders[1:], ablations=("no-vision",))
    with pytest.raises(UserError, match=r"--grids\.precision fp32 has no effect with --regions"):
        contestants(only, ["--grids.precision", "fp32"])
    with pytest.raises(UserError, match=r"--regions .* has no effect with --no-vision"):
        contestants(arguments, ["--no-vision"])
