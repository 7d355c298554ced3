import dataclasses
import os
import signal
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from clipnav.training.checkpoints import load_trainer
from clipnav.vl_tasks.settings.runs import RunConfig
from clipnav.vl_tasks.training import Task, make_trainer


class SumsConfig(RunConfig):
    TASK = "sums"


class Sums(Task):
    """Learns to add two numbers, with dropout, so that its noise must be right."""

    metadata: ClassVar = {"encoder": "none"}
    records = 23

    def __init__(self, config):
        self.config = config
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(
            nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        self.network.architecture = {"hidden": "8"}  # type: ignore[assignment]
        rng = np.random.default_rng(0)
        self.inputs = torch.from_numpy(rng.standard_normal((23, 2)).astype(np.float32))
        self.before_loss = lambda rows: None

    def loss(self, rows):
        self.before_loss(rows)
        found = self.network(self.inputs[rows])[:, 0]
        return ((found - self.inputs[rows].sum(1)) ** 2).mean(), {"size": float(len(rows))}

    def score(self, split):
        error = (self.network(self.inputs)[:, 0] - self.inputs.sum(1)).abs().mean()
        return {"accuracy": 1 - error.item(), "error": error.item()}

    def final_scores(self, split):
        return []

    def start(self, run):
        (run / "numbers.txt").write_text("two")


def config(tmp_path, **changes):
    return SumsConfig(
        output=tmp_path / "run", iterations=20, batch_size=4, evaluate_every=5, **changes
    )


def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(tmp_path, check_same_run):
    whole = make_trainer(Sums(config(tmp_path / "whole")))
    whole.train()
    assert (whole.run / "numbers.txt").read_text() == "two"
    half = config(tmp_path / "halves")
    # A cosine's rate depends on the length of the run, which is the same: it is stopped.
    first = make_trainer(stopping := Sums(half))
    stopping.before_loss = lambda rows: interrupt_at(first, 9)
    with pytest.raises(SystemExit, match=rf"after 10 iterations.*--resume {first.run}"):
        first.train()
    assert load_trainer(first.run)["iteration"] == 10
    second = make_trainer(Sums(dataclasses.replace(half, resume=first.run)))
    second.train()
    check_same_run(whole, second)


def interrupt_at(trainer, iteration):
    if trainer.iteration == iteration:
        os.kill(os.getpid(), signal.SIGINT)
