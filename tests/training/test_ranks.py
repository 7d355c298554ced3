"""Errors of data on one of two ranks, on one machine."""

from pathlib import Path

from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.checkpoints import load_trainer
from tests.launching import ROOT
from tests.torchrun import run_two_ranks
from tests.training.sums import Sums, make_trainer

PROGRAM = f"""
import pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.training.test_ranks import train_with_damaged_data
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


def test_without_other_ranks_results_and_errors_are_those_of_the_function():
    assert distributed.on_all_ranks(lambda: 3) == 3
