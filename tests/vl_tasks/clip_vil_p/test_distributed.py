"""Pre-training on two ranks, started by torchrun on one machine."""

import dataclasses
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT
from training.checkpoints import load_trainer
from training.log import read_log
from vl_tasks.clip_vil_p.pretraining import pretrain

PROGRAM = """
import dataclasses, pathlib, sys
sys.path.insert(0, {root!r})
from tests.vl_tasks.clip_vil_p.conftest import tiny_config
from tests.vl_tasks.clip_vil_p.test_distributed import still
from vl_tasks.clip_vil_p.pretraining import pretrain
pretrain(still(tiny_config(pathlib.Path({data!r}), pathlib.Path({output!r})), 4))
"""


def still(config, batch_size):
    """Settings without dropout, drawn cells and statistics of batches."""
    return dataclasses.replace(
        config,
        text=dataclasses.replace(config.text, dropout=0.0),
        trunk=dataclasses.replace(config.trunk, frozen_norms=True),
        cells=None,
        batch_size=batch_size,
        iterations=2,
        evaluate_every=2,
    )


def test_two_ranks_equal_one_process_with_twice_the_batch(tiny, pair_folder, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    pretrain(still(dataclasses.replace(tiny, output=one), 8))
    program = tmp_path / "program.py"
    values = {"root": str(ROOT), "data": str(pair_folder), "output": str(two)}
    program.write_text(PROGRAM.format(**values))
    command = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    done = subprocess.run(
        [*command, "--nproc-per-node", "2", str(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    states = [load_trainer(run) for run in (one, two)]
    means = [state["optimiser"]["main"]["state"] for state in states]
    assert means[0].keys() == means[1].keys()
    for number, moments in means[0].items():
        found = means[1][number]["exp_avg"]
        torch.testing.assert_close(found, moments["exp_avg"], atol=1e-6, rtol=1e-3)
    for name, weight in states[0]["weights"].items():
        if name.startswith("trunk.") and weight.is_floating_point():
            found = states[1]["weights"][name]
            torch.testing.assert_close(found, weight, atol=1e-5, rtol=1e-4)
    # The evaluation covers each pair once, divided among the ranks.
    scores = [next(e for e in read_log(run) if e.pop("kind") == "val") for run in (one, two)]
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)
    assert done.stdout.count("the run is in") == 1
