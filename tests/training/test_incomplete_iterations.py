"""Errors and requests to stop in the middle of an iteration, also on one of two ranks."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.checkpoints import load_trainer
from clipnav.training.trainer import DivergedError
from tests.launching import ROOT
from tests.torchrun import run_two_ranks
from tests.training.sums import Sums, make_trainer


class NormalisedSums(Sums):
    """Sums whose batch norm changes before the second of two batches is read."""

    def __init__(self):
        super().__init__()
        self.network.insert(1, nn.BatchNorm1d(8))
        self.optimiser = torch.optim.Adam(self.network.parameters())

    def backward(self, iteration):
        self.network(self.inputs)
        return super().backward(iteration)


def failing_trainer(run, learner, iteration, error, stopped=False):
    """Trainer whose learner raises an error in an iteration, after SIGTERM if it is stopped."""
    trainer = make_trainer(run, learner)

    def read():
        if trainer.iteration == iteration:
            if stopped:
                os.kill(os.getpid(), signal.SIGTERM)
            raise error

    learner.before = read
    return trainer


@pytest.mark.parametrize("kind", [UserError, FileNotFoundError])
@pytest.mark.parametrize("learner", [Sums, NormalisedSums])
def test_damaged_data_costs_no_finished_iteration(tmp_path, check_same_run, kind, learner, capsys):
    whole = make_trainer(tmp_path / "whole", learner())
    whole.train()
    first = failing_trainer(tmp_path / "run", learner(), 7, kind("1.npz: damaged"))
    with pytest.raises(kind, match=r"^1\.npz: damaged$"):
        first.train()
    hint = f"The state of iteration 7 is saved; resume with --resume {first.run}"
    assert hint in capsys.readouterr().err
    second = make_trainer(None, learner(), resume=first.run)
    second.train()
    check_same_run(whole, second)


def test_damaged_data_of_the_first_iteration_leaves_no_saved_run(tmp_path):
    trainer = failing_trainer(tmp_path / "run", Sums(), 0, UserError("1.npz: damaged"))
    with pytest.raises(UserError, match="damaged"):
        trainer.train()
    make_trainer(tmp_path / "run").close()  # the folder can be used again


@pytest.mark.parametrize("spoilt", [torch.nan, 1e6])
def test_a_diverged_run_stops_with_the_state_before_it(tmp_path, spoilt):
    learner = NormalisedSums()
    trainer = make_trainer(tmp_path / "run", learner)
    learner.before = lambda: trainer.iteration == 7 and learner.inputs[0].fill_(spoilt)
    with pytest.raises(DivergedError, match=r"iteration 7.*state before it is saved") as error:
        trainer.train()
    assert str(trainer.run) in str(error.value)
    state = load_trainer(trainer.run)
    assert state["iteration"] == 7
    assert all(bool(weight.isfinite().all()) for weight in state["weights"].values())
    assert state["weights"]["1.num_batches_tracked"] == 14  # two batches for each of seven updates
    assert state["weights"]["1.running_mean"].abs().max() < 10


def test_sigterm_that_also_ends_the_loading_processes_saves_and_stops(tmp_path, check_same_run):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    first = failing_trainer(tmp_path / "run", Sums(), 7, ChildProcessError("killed"), stopped=True)
    with pytest.raises(SystemExit, match=rf"after 7 iterations.*--resume {first.run}"):
        first.train()
    second = make_trainer(None, resume=first.run)
    second.train()
    check_same_run(whole, second)


def test_the_death_of_a_loading_process_without_a_request_stays_an_error(tmp_path):
    trainer = failing_trainer(tmp_path / "run", Sums(), 0, ChildProcessError("killed"))
    with pytest.raises(ChildProcessError, match="killed"):
        trainer.train()


PROGRAM = f"""
import pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.training.test_incomplete_iterations import train_with_damaged_data
train_with_damaged_data(pathlib.Path(sys.argv[1]))
"""


@distributed.destroys_process_group
def train_with_damaged_data(run: Path) -> None:
    distributed.join("cpu")
    reading = Sums()
    trainer = make_trainer(run, reading)

    def read():
        if trainer.iteration == 7 and distributed.rank() == 1:
            raise UserError("1.npz: damaged")

    reading.before = lambda: distributed.on_all_ranks(read)
    try:
        trainer.train()
    except UserError as error:
        print(f"rank {distributed.rank()}: {error}")


def test_damaged_data_of_one_rank_costs_no_finished_iteration(launcher, tmp_path):
    program, run = tmp_path / "program.py", tmp_path / "run"
    program.write_text(PROGRAM)
    printed = run_two_ranks(launcher, tmp_path, program, run)
    assert load_trainer(run)["iteration"] == 7
    assert printed.count(f"The state of iteration 7 is saved; resume with --resume {run}") == 1
    for rank in range(2):
        assert f"rank {rank}: 1.npz: damaged" in printed
