"""The commands with runs of the agents that are no followers."""

import json

import pytest

from clipnav.agents.hamt import conversion
from clipnav.agents.hamt.settings import history_preset
from clipnav.viewer.trace import read_traces

SIZES = {
    **{"hidden-size": 16, "heads": 2, "feed-forward-size": 32, "text-layers": 1},
    **{"panorama-layers": 1, "cross-layers": 1},
}
NETWORK = [word for name, size in SIZES.items() for word in (f"--network.{name}", str(size))]
AGENTS = {
    "frontier": ("frontier agent", ["--follower.hidden-size", "16"]),
    "map": ("map agent", NETWORK),
    "hamt": (
        "HAMT",
        [
            *"--preset hamt-houses --reinforcement.weight 1 --sampled-steps 1".split(),
            *("--cloning-iterations", "1", "--network.text-encoder", "transformer", *NETWORK),
        ],
    ),
}


@pytest.fixture
def common(tiny_world):
    """Flags of a training that takes a moment."""
    return [
        *("--world", "matterport", "--data-dir", tiny_world),
        *("--features", tiny_world / "features.safetensors"),
        *("--evaluation-splits", "val_unseen", "--select-by", "val_unseen"),
        *("--batch-size", "3", "--threads", "1"),
    ]


@pytest.mark.parametrize("agent", AGENTS)
def test_train_resume_evaluate_submit_and_record(agent, common, tmp_path, run_command):
    run, submission, traces = tmp_path / "run", tmp_path / "submission.json", tmp_path / "traces"
    name, flags = AGENTS[agent]
    train = ("train-agent", "--agent", agent, *common, *flags, "--iterations", "2")
    assert name in run_command(*train, "--output", run)
    run_command("train-agent", "--resume", run, "--iterations", "3")
    assert json.loads((run / "results.json").read_text())["iterations"] == 3
    run_command("evaluate-agent", run, "--splits", "test", "--submission", submission)
    assert len(json.loads(submission.read_text())) == 4
    assert name in run_command("evaluate-agent", run, "--no-baselines", "--traces", traces)
    steps = [trace.steps[0] for trace in read_traces(traces)]
    assert steps
    if agent == "hamt":
        assert all(0 <= step.stop_probability <= 1 for step in steps)
        with pytest.raises(ValueError, match="hamt, which does not walk among places"):
            run_command("evaluate-waypoint-agent", run)
    else:
        assert all(step.known_map is not None for step in steps)
    if agent == "frontier":
        assert all(step.word_attention is not None for step in steps)
    page = ("--export", tmp_path / "page.html")
    run_command("visualise", run, "--no-baselines", *page)
    assert f'"agent":"{name}"' in (tmp_path / "page.html").read_text()
    with pytest.raises(ValueError, match="only followers can search"):
        run_command("evaluate-agent", run, "--search.method", "beam")
    with pytest.raises(ValueError, match="only followers can search"):
        run_command("visualise", run, "--frontier", *page)


def test_frontier_agents_require_a_candidate_mlp(common, run_command, capsys):
    with pytest.raises(SystemExit):
        run_command("train-agent", "--agent", "frontier", *common, "--follower.no-candidate-mlp")
    assert "requires --follower.candidate-mlp" in " ".join(capsys.readouterr().err.split())


def test_a_map_agent_continues_from_its_pre_training(common, tmp_path, run_command):
    pretrained = tmp_path / "pretrained"
    flags = [*common, *NETWORK, "--iterations", "2"]
    assert "val_unseen: SR" in run_command("pretrain-agent", *flags, "--output", pretrained)
    run_command("pretrain-agent", "--resume", pretrained, "--iterations", "3")
    continued = ["--start-from", pretrained, "--output", tmp_path / "run"]
    printed = run_command("train-agent", "--agent", "map", *flags, *continued)
    assert "words have an embedding" in printed


@pytest.mark.parametrize(("dataset", "preset"), [("r2r", "hamt-r2r"), ("r4r", "hamt-r4r")])
def test_a_checkpoint_gets_the_settings_of_its_dataset(
    dataset, preset, tmp_path, run_command, monkeypatch
):
    converted = []
    monkeypatch.setattr(conversion, "convert_hamt_run", lambda *given: converted.append(given[2]))
    files = "--weights", tmp_path / "weights", "--output", tmp_path / "run"
    run_command("convert-agent", "--model", "hamt", "--dataset", dataset, *files)
    assert converted == [history_preset(dataset, "matterport", preset)]
