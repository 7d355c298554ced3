"""Commands with HAMT."""

import pytest

from clipnav.agents.hamt import conversion
from clipnav.agents.hamt.settings import history_preset
from tests.clipnav.agent_runs import train_resume_evaluate_and_submit

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
    _, traces = train_resume_evaluate_and_submit(run_command, "hamt", "HAMT", flags, tmp_path)
    steps = [step for trace in traces for step in trace.steps]
    steps = [step for step in steps if step.action is not None]
    assert steps
    assert all(0 <= step.stop_probability <= 1 for step in steps)
    with pytest.raises(ValueError, match="only followers can search"):
        run_command("evaluate-agent", run, "--search.method", "beam")


@pytest.mark.parametrize(("dataset", "preset"), [("r2r", "hamt-r2r"), ("r4r", "hamt-r4r")])
def test_a_checkpoint_gets_the_settings_of_its_dataset(
    dataset, preset, tmp_path, run_command, monkeypatch
):
    converted = []
    monkeypatch.setattr(conversion, "convert_hamt_run", lambda *given: converted.append(given[2]))
    files = "--weights", tmp_path / "weights", "--output", tmp_path / "run"
    run_command("convert-agent", "--model", "hamt", "--dataset", dataset, *files)
    assert converted == [history_preset(dataset, "matterport", preset)]
