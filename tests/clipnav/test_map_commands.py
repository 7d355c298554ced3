"""Commands with map agents."""

import pytest

from tests.clipnav.agent_runs import train_resume_evaluate_and_submit

SIZES = ("hidden-size", 16), ("heads", 2), ("feed-forward-size", 32), ("text-layers", 1)
LAYERS = ("panorama-layers", 1), ("cross-layers", 1)


@pytest.fixture
def common(tiny_world):
    """Flags of a map agent that is trained in a moment."""
    sizes = [word for name, n in (*SIZES, *LAYERS) for word in (f"--network.{name}", str(n))]
    return [
        *("--world", "matterport", "--data-dir", str(tiny_world)),
        *("--features", str(tiny_world / "features.safetensors")),
        *("--evaluation-splits", "val_unseen", "--select-by", "val_unseen"),
        *("--batch-size", "2", "--threads", "1", *sizes),
    ]


def test_train_resume_evaluate_submit_and_record(common, tmp_path, run_command):
    run = tmp_path / "run"
    _, traces = train_resume_evaluate_and_submit(run_command, "map", "map agent", common, tmp_path)
    maps = [trace.steps[0].known_map for trace in traces]
    assert maps
    assert None not in maps
    with pytest.raises(ValueError, match="only followers can search"):
        run_command("evaluate-agent", run, "--search.method", "beam")
    with pytest.raises(ValueError, match="only followers can search"):
        run_command("visualise", run, "--frontier", "--export", tmp_path / "page.html")


def test_pretrain_and_continue(common, tmp_path, run_command):
    pretrained = tmp_path / "pretrained"
    flags = [*common, "--iterations", "2"]
    assert "val_unseen: SR" in run_command("pretrain-agent", *flags, "--output", pretrained)
    run_command("pretrain-agent", "--resume", pretrained, "--iterations", "3")
    continued = ["--start-from", pretrained, "--output", tmp_path / "run"]
    printed = run_command("train-agent", "--agent", "map", *flags, *continued)
    assert "words have an embedding" in printed
