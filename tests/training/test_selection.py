"""Selected weights, and what the saved state of a run depends on."""

import os

import pytest
import torch
from safetensors.torch import load_file

from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.checkpoints import MODEL, TRAINER, load_trainer, model_metadata
from clipnav.training.learners import Selection
from clipnav.training.trainer import Progress, restore_state, save_state
from tests.training.sums import Sums, make_trainer


def test_without_selection_the_latest_weights_are_kept(tmp_path, capsys):
    learner = Sums()
    learner.selection = None
    learner.evaluate = lambda: pytest.fail("must not be called")
    trainer = make_trainer(tmp_path / "run", learner, iterations=7)
    trainer.train()
    assert trainer.best == {}
    weights, state = load_file(trainer.run / MODEL), load_trainer(trainer.run)["weights"]
    for name, value in learner.network.state_dict().items():
        assert torch.equal(weights[name], value)
        assert torch.equal(state[name], value)
    assert not learner.network.training
    printed = capsys.readouterr().err
    assert "100%, 7 it" in printed
    assert "best" not in printed


def test_without_selection_a_resumed_run_saves_the_weights_of_its_state(tmp_path):
    learner = Sums()
    learner.selection = None
    first = make_trainer(tmp_path / "run", learner)
    first.save()
    first.step()
    first._save_state()  # as if killed before the model was saved
    first.close()
    again = Sums()
    again.selection = None
    make_trainer(None, again, resume=first.run).close()
    assert model_metadata(first.run)["iteration"] == "1"


@pytest.mark.parametrize("iteration", [5, 10, 20])
def test_a_run_that_an_evaluation_ended_resumes_with_it(tmp_path, check_same_run, iteration):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    learner = Sums()
    first = make_trainer(tmp_path / "run", learner)
    evaluate = learner.evaluate

    def read():
        if first.iteration == iteration:
            raise UserError("1.npz: damaged")
        return evaluate()

    learner.evaluate = read
    with pytest.raises(UserError, match="damaged"):
        first.train()
    second = make_trainer(None, resume=first.run)
    second.train()
    check_same_run(whole, second)
    assert second.best == whole.best


def test_ranks_meet_after_the_last_evaluation_of_a_resumed_run_is_made_up_for(tmp_path):
    learner = Sums()
    first = make_trainer(tmp_path / "run", learner, iterations=5)

    def read():
        raise UserError("1.npz: damaged")

    learner.evaluate = read
    with pytest.raises(UserError, match="damaged"):
        first.train()
    saved = []

    class Watched:
        def rank(self):
            return 0

        def all_gather(self, value):
            saved.append(len(load_trainer(first.run)["best"]))
            return [value]

    make_trainer(None, resume=first.run, group=Watched(), iterations=5).train()
    assert saved[0] == 0
    assert saved[-1] == 2  # the iteration and the score of the best weights


@pytest.mark.parametrize(("file", "best"), [(TRAINER, 5), (MODEL, 10)])
def test_a_run_killed_while_saving_better_weights_keeps_those_of_its_best_score(
    tmp_path, monkeypatch, file, best
):
    def scored(*scores: float) -> Sums:
        learner, left = Sums(), iter(scores)
        learner.evaluate = lambda: {"val": {"accuracy": next(left)}}
        return learner

    replace = os.replace

    def die(source, target):
        if killed.iteration == 10 and target.name == file:
            raise KeyboardInterrupt
        replace(source, target)

    killed = make_trainer(tmp_path / "run", scored(0.5, 0.9))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            killed.train()
    killed.close()
    # The scores of the resumed run are lower, as GPUs round differently each time.
    again = make_trainer(None, scored(0.4, 0.3, 0.2), resume=killed.run)
    again.train()
    assert again.best["iteration"] == best
    assert model_metadata(killed.run)["iteration"] == str(best)


def test_weights_are_not_selected_by_scores_of_two_kinds(tmp_path):
    def learner(variant):
        found = Sums()
        found.selection = Selection("val", "accuracy", {"variant": variant})
        return found

    first = make_trainer(tmp_path / "run", learner("V2"), iterations=10)
    first.train()
    first.close()
    hint = r"--variant V1: .* selected with --variant V2, .* resume the run with --variant V2"
    with pytest.raises(UserError, match=hint):
        make_trainer(None, learner("V1"), resume=first.run, iterations=20)
    make_trainer(None, learner("V1"), resume=first.run, iterations=10).close()
    make_trainer(None, learner("V2"), resume=first.run, iterations=20).train()


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
