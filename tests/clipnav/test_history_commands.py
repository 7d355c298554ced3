"""Commands with HAMT."""

import json

import pytest

from viewer.trace import read_traces

SIZES = ("hidden-size", 16), ("heads", 2), ("feed-forward-size", 32), ("text-layers", 1)
LAYERS = ("panorama-layers", 1), ("cross-layers", 1)


def test_train_resume_evaluate_submit_and_record(tiny_world, tmp_path, run_command):
    run = tmp_path / "run"
    sizes = [word for name, n in (*SIZES, *LAYERS) for word in (f"--network.{name}", str(n))]
    flags = [
        *("--preset", "hamt-houses", "--world", "matterport", "--data-dir", str(tiny_world)),
        *("--features", str(tiny_world / "features.safetensors")),
        *("--evaluation-splits", "val_unseen", "--select-by", "val_unseen"),
        *("--reinforcement.weight", "1", "--cloning-iterations", "1"),
        *("--batch-size", "3", "--threads", "1", *sizes),
    ]
    train = ["train-agent", "--agent", "hamt", *flags, "--iterations", "2", "--output", run]
    assert "HAMT" in run_command(*train)
    run_command("train-agent", "--resume", run, "--iterations", "3")
    assert json.loads((run / "results.json").read_text())["iterations"] == 3

    submission, traces = tmp_path / "submission.json", tmp_path / "traces"
    run_command("evaluate-agent", run, "--splits", "test", "--submission", submission)
    assert len(json.loads(submission.read_text())) == 4
    printed = run_command("evaluate-agent", run, "--no-baselines", "--traces", traces)
    assert "HAMT" in printed
    steps = [step for trace in read_traces(traces) for step in trace.steps]
    steps = [step for step in steps if step.action is not None]
    assert steps
    assert all(0 <= step.stop_probability <= 1 for step in steps)
    with pytest.raises(ValueError, match="only followers can search"):
        run_command("evaluate-agent", run, "--search.method", "beam")
