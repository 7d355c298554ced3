"""What the saved state of a run depends on."""

import pytest

from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.checkpoints import load_trainer
from clipnav.training.trainer import Progress, restore_state, save_state
from tests.training.sums import Sums, make_trainer


class FirstRank:
    """Rank 0 of any number; only its values are known."""

    def rank(self):
        return 0

    def all_gather(self, value):
        return [value]


@pytest.fixture
def train(monkeypatch):
    """Function that trains a run with a number of processes, for 20 iterations by default."""

    def train(processes, folder=None, **changes):
        monkeypatch.setattr(distributed, "world_size", lambda: processes)
        trainer = make_trainer(folder, group=FirstRank(), **changes)
        trainer.train()
        trainer.close()
        return trainer.run

    return train


@pytest.mark.parametrize(("before", "now"), [(1, 2), (2, 1)])
def test_a_run_is_not_trained_further_by_another_number_of_processes(tmp_path, train, before, now):
    run = train(before, tmp_path / "run")
    problem = rf"run/trainer\.pt: the number of processes was {before}, but here it is {now};"
    with pytest.raises(UserError, match=problem):
        train(now, resume=run, iterations=40)
    train(before, resume=run, iterations=40)
    assert load_trainer(run)["iteration"] == 40


def test_a_finished_run_can_be_evaluated_by_another_number_of_processes(tmp_path, train):
    run = train(2, tmp_path / "run")
    train(1, resume=run)
    assert load_trainer(run)["processes"] == 2


def test_a_state_is_refused_by_a_learner_with_other_metadata(tmp_path):
    save_state(tmp_path, Sums(), Progress(3, 1.0, {}, []))
    learner = Sums()
    learner.metadata = {"words": "three"}
    with pytest.raises(
        UserError, match=r"trainer\.pt: trained with words two, but here it is three"
    ):
        restore_state(tmp_path, learner)
