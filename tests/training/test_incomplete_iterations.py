"""Errors and requests to stop that come in the middle of an iteration."""

import os
import signal

import pytest
import torch
from torch import nn

from storage.errors import UserError
from tests.training.sums import Sums, make_trainer
from training.checkpoints import load_trainer
from training.trainer import DivergedError


class NormalisedSums(Sums):
    """Sums whose batch norm changes before the second of two batches is read."""

    def __init__(self):
        super().__init__()
        self.network.insert(1, nn.BatchNorm1d(8))
        self.optimiser = torch.optim.Adam(self.network.parameters())

    def backward(self, iteration):
        self.network(self.inputs)
        return super().backward(iteration)


def test_damaged_data_changes_no_batch_norm_of_the_saved_state(tmp_path, check_same_run):
    whole = make_trainer(tmp_path / "whole", NormalisedSums())
    whole.train()
    reading = NormalisedSums()
    first = make_trainer(tmp_path / "run", reading)

    def read():
        if first.iteration == 7:
            raise UserError("1.npz: damaged")

    reading.before = read
    with pytest.raises(UserError, match="damaged"):
        first.train()
    second = make_trainer(None, NormalisedSums(), resume=first.run)
    second.train()
    check_same_run(whole, second)


def test_a_diverged_iteration_changes_no_batch_norm_of_the_saved_state(tmp_path):
    learner = NormalisedSums()
    trainer = make_trainer(tmp_path / "run", learner)
    learner.before = lambda: trainer.iteration == 7 and learner.inputs[0].fill_(1e6)
    with pytest.raises(DivergedError, match="iteration 7"):
        trainer.train()
    saved = load_trainer(trainer.run)["weights"]
    assert saved["1.num_batches_tracked"] == 14  # two batches for each of seven updates
    assert saved["1.running_mean"].abs().max() < 10


def test_sigterm_that_also_ends_the_loading_processes_saves_and_stops(tmp_path, check_same_run):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    loading = Sums()
    first = make_trainer(tmp_path / "run", loading)

    def terminate():
        if first.iteration == 7:
            os.kill(os.getpid(), signal.SIGTERM)
            raise ChildProcessError("a process that decodes images was killed")

    loading.before = terminate
    with pytest.raises(SystemExit, match=rf"after 7 iterations.*--resume {first.run}"):
        first.train()
    second = make_trainer(None, resume=first.run)
    second.train()
    check_same_run(whole, second)


def test_the_death_of_a_loading_process_without_a_request_stays_an_error(tmp_path):
    loading = Sums()
    trainer = make_trainer(tmp_path / "run", loading)

    def die():
        raise ChildProcessError("a process that decodes images was killed")

    loading.before = die
    with pytest.raises(ChildProcessError, match="decodes images"):
        trainer.train()
