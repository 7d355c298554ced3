"""Training on two ranks, on one machine."""

import dataclasses
import json

import pytest
import torch

from clipnav.training.checkpoints import load_trainer
from clipnav.training.log import read_log
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.vl_tasks.settings.networks import FineTuningConfig
from clipnav.vl_tasks.training import train
from clipnav.vl_tasks.vqa.settings import VqaConfig
from tests.conftest import ROOT
from tests.torchrun import run_two_ranks

PROGRAM = """
import pathlib, sys
sys.path.insert(0, {root!r})
from tests.vl_tasks.clip_vil_p.conftest import tiny_config
from tests.vl_tasks.clip_vil_p.test_distributed import still, tuned
from clipnav.vl_tasks.training import train
folders = [pathlib.Path(argument) for argument in sys.argv[2:]]
if sys.argv[1] == "finetune":
    train(tuned(*folders, 4))
else:
    train(still(tiny_config(*folders), 4, sys.argv[1] == "frozen"))
"""


def still(config, batch_size, frozen=False):
    """Settings without dropout, drawn cells and statistics of batches."""
    return dataclasses.replace(
        config,
        text=dataclasses.replace(config.text, dropout=0.0),
        trunk=dataclasses.replace(config.trunk, frozen_norms=True, frozen=frozen),
        cells=None,
        batch_size=batch_size,
        iterations=2,
        evaluate_every=2,
    )


def tuned(start, data, output, batch_size):
    """Settings of a fine-tuning with still batch norms, from a run without dropout."""
    return VqaConfig(
        model="clip-vil-p",
        start_from=start,
        data=str(data),
        clip_vil_p=FineTuningConfig(frozen_norms=True, accumulate=2),
        optimiser=OptimiserConfig("adamw", 1e-3),
        iterations=2,
        batch_size=batch_size,
        evaluate_every=2,
        evaluation_batch_size=5,
        min_count=1,
        submit="test",
        output=output,
        threads=1,
    )


def run_program(launcher, folder, *arguments):
    """Start the program with two processes; return what it prints."""
    program = folder / "program.py"
    program.write_text(PROGRAM.format(root=str(ROOT)))
    return run_two_ranks(launcher, folder, program, *arguments)


def check_same(one, two):
    """Compare figures, gradients (moments of AdamW), weights of the trunk and scores of runs."""
    states = [load_trainer(run) for run in (one, two)]
    logged = [state["recent"] for state in states]
    assert len(logged[0]) == len(logged[1])
    for expected, found in zip(*logged, strict=True):
        assert found == pytest.approx(expected, rel=1e-2)
    means = [state["optimiser"]["main"]["state"] for state in states]
    assert means[0].keys() == means[1].keys()
    for number, moments in means[0].items():
        found = means[1][number]["exp_avg"]
        torch.testing.assert_close(found, moments["exp_avg"], atol=1e-6, rtol=1e-3)
    for name, weight in states[0]["weights"].items():
        if name.startswith("trunk.") and weight.is_floating_point():
            found = states[1]["weights"][name]
            torch.testing.assert_close(found, weight, atol=1e-5, rtol=1e-4)
    # The evaluation covers each record once, divided among the ranks.
    scores = [next(e for e in read_log(run) if e.pop("kind") == "val") for run in (one, two)]
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)


@pytest.mark.parametrize("trunk", ["trained", "frozen"])
def test_two_ranks_equal_one_process_with_twice_the_batch(
    trunk, tiny, pair_folder, launcher, tmp_path
):
    one, two = tmp_path / "one", tmp_path / "two"
    train(still(dataclasses.replace(tiny, output=one), 8, trunk == "frozen"))
    printed = run_program(launcher, tmp_path, trunk, pair_folder, two)
    check_same(one, two)
    assert printed.count("the run is in") == 1


def test_two_ranks_fine_tune_as_one_process_with_twice_the_batch(
    tiny, pair_folder, shapes, launcher, tmp_path
):
    start, one, two = (tmp_path / name for name in ("start", "one", "two"))
    train(dataclasses.replace(still(tiny, 8), output=start, iterations=1))
    train(tuned(start, shapes, one, 8))
    printed = run_program(launcher, tmp_path, "finetune", start, shapes, two)
    check_same(one, two)
    assert printed.count("the run is in") == 1
    assert printed.count("answers have pre-trained weights") == 1
    submissions = [json.loads((run / "submission_test.json").read_text()) for run in (one, two)]
    assert {row["question_id"] for row in submissions[0]} == {
        row["question_id"] for row in submissions[1]
    }
    assert len(submissions[1]) == 12
    assert json.loads((two / "results.json").read_text())["results"]["val"]["questions"] == 24


def test_torchrun_is_refused_by_trainings_in_one_process(shapes, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun started 2 processes, but this training uses on"):
        train(VqaConfig(data=str(shapes)))
