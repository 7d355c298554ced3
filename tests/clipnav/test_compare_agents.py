"""The command that compares ways of training, and rows that begin where other runs ended."""

import json

import pytest

from clipnav.storage.errors import UserError


def test_rows_have_arguments_and_starts_of_their_own(run_command, tiny_world, tmp_path):
    common = [
        *("--", "--world", "matterport", "--data-dir", tiny_world, "--batch-size", "4"),
        *("--features", tiny_world / "features.safetensors", "--follower.hidden-size", "16"),
        *("--iterations", "2"),
    ]
    first, output = tmp_path / "first", tmp_path / "output"
    options = ["--seeds", "2", "--splits", "val_unseen"]
    run_command("compare-agents", *options, "--rows", "imitation=", "--output", first, *common)
    start = first / "runs" / "imitation-{seed}"
    printed = run_command(
        *("compare-agents", *options, "--baselines", "random", "--output", output),
        *("--rows", "longer=", "with rewards=--reinforcement.weight 0.5", *common),
        *("--start-from", start),
    )
    rows = ["longer", "with rewards", "random agent"]
    assert list(json.loads((output / "comparison.json").read_text())["val_unseen"]) == rows
    assert [line[12:26].strip() for line in printed.splitlines()[1:4]] == rows
    for seed in range(2):
        config = json.loads((output / "runs" / f"with-rewards-{seed}" / "config.json").read_text())
        assert config["start_from"] == str(first / "runs" / f"imitation-{seed}")
        assert (config["reinforcement"]["weight"], config["seed"]) == (0.5, seed)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("one=--seed 3", "--seed in --rows 'one=--seed 3': .*set --seeds before --"),
        ("one=--evaluation-splits val_seen", "set --splits before --"),
        ("one=--output elsewhere", "set --output before --"),
        ("one=--resume runs/one", "--resume in --rows .*: omit it; the same command resumes"),
        ("one=--start-from 'runs/my run", "No closing quotation"),
        ("--reinforcement.weight 1", "write NAME=ARGUMENTS"),
        ("=--reinforcement.weight 1", "write NAME=ARGUMENTS"),
        ("random agent=", "'random agent' is the name of a baseline"),
    ],
)
def test_rows_that_would_not_be_compared_are_refused(run_command, tmp_path, row, complaint):
    with pytest.raises(UserError, match=complaint):
        run_command("compare-agents", f"--rows={row}", "--output", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--rows", "one=", "two=--dataset rxr"], "two: is scored on other episodes of val_unseen"),
        (["--rows", "one=--dataset rxr"], "random agent: is scored on other .* data.* after --"),
        (["--splits", "test"], "test: its goals are not published"),
    ],
)
def test_rows_on_other_episodes_are_refused_before_a_training(
    run_command, tiny_world, tmp_path, options, complaint
):
    given = ["compare-agents", "--splits", "val_unseen", *options, "--output", tmp_path / "output"]
    with pytest.raises(UserError, match=complaint):
        run_command(*given, "--", "--world", "matterport", "--data-dir", tiny_world)
    assert not (tmp_path / "output").exists()
