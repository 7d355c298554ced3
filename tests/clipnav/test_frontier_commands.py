"""Commands with frontier agents."""

import pytest

from tests.clipnav.agent_runs import train_resume_evaluate_and_submit


def test_train_resume_evaluate_submit_and_record(tiny_world, tmp_path, run_command, capsys):
    run = tmp_path / "run"
    flags = [
        *("--world", "matterport", "--data-dir", tiny_world),
        *("--features", tiny_world / "features.safetensors"),
        *("--evaluation-splits", "val_unseen", "--select-by", "val_unseen"),
        *("--batch-size", "2", "--threads", "1", "--follower.hidden-size", "16"),
    ]
    train, traces = train_resume_evaluate_and_submit(
        run_command, "frontier", "frontier agent", flags, tmp_path
    )
    steps = [trace.steps[0] for trace in traces]
    assert steps
    assert all(step.known_map is not None and step.word_attention is not None for step in steps)
    page = tmp_path / "page.html"
    run_command("visualise", run, "--no-baselines", "--export", page)
    assert '"agent":"frontier agent"' in page.read_text()
    with pytest.raises(ValueError, match="only followers can search"):
        run_command("evaluate-agent", run, "--search.method", "frontier")
    with pytest.raises(ValueError, match="frontier, which does not walk among places"):
        run_command("evaluate-waypoint-agent", run)
    with pytest.raises(SystemExit):
        run_command(*train, "--follower.no-candidate-mlp")
    assert "requires --follower.candidate-mlp" in " ".join(capsys.readouterr().err.split())
