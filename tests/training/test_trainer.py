import errno
import os
import signal

import pytest
import torch
from torch import nn

from clipnav.storage import UnwritableError
from clipnav.storage.errors import UserError
from clipnav.storage.locks import OutputInUseError
from clipnav.training import trainer as trainer_module
from clipnav.training.checkpoints import MODEL, TRAINER, load_trainer, model_metadata
from clipnav.training.log import read_log
from clipnav.training.optimisers import learning_rate
from clipnav.training.resuming import parse_resumed
from clipnav.training.settings import CONFIG, read_config
from tests.training.sums import COSINE, Config, Sums, make_trainer


@pytest.mark.parametrize("request_", [signal.SIGINT, signal.SIGTERM])
def test_resume_is_bit_identical(tmp_path, check_same_run, request_):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    assert (whole.run / "numbers.txt").read_text() == "two"
    stopping = Sums()
    first = make_trainer(tmp_path / "halves", stopping)
    stopping.before = lambda: first.iteration == 9 and os.kill(os.getpid(), request_)
    with pytest.raises(SystemExit, match=rf"after 10 iterations.*--resume {first.run}"):
        first.train()
    assert load_trainer(first.run)["iteration"] == 10
    second = make_trainer(None, resume=first.run)
    second.train()
    check_same_run(whole, second)


def test_a_killed_run_loses_minutes_where_evaluations_are_hours_apart(
    tmp_path, check_same_run, monkeypatch
):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    monkeypatch.setattr(trainer_module, "_SAVE_EVERY", 10.0)
    learner = Sums()
    killed = make_trainer(tmp_path / "killed", learner)

    def work():
        killed.seconds += 4  # of the iteration that follows
        if killed.iteration == 9:
            raise KeyboardInterrupt  # as in a worker: nothing is saved on the way out

    learner.before = work
    with pytest.raises(KeyboardInterrupt, match="The state of iteration 8 is saved"):
        killed.train()
    assert load_trainer(killed.run)["iteration"] == 8
    killed.close()
    second = make_trainer(None, resume=killed.run)
    second.train()
    check_same_run(whole, second)


def test_changed_settings_of_a_resumed_run_are_saved(tmp_path):
    first = make_trainer(tmp_path / "run")
    first.save()
    first.close()
    moved = first.run.rename(tmp_path / "moved")
    make_trainer(first.run, resume=moved, iterations=40).close()
    settings = read_config(moved, Config)
    assert settings == Config(output=moved, iterations=40)


def test_a_run_is_not_resumed_to_fewer_iterations_than_it_has(tmp_path):
    first = make_trainer(tmp_path / "run")
    first.train()
    first.close()
    with pytest.raises(ValueError, match=r"--iterations 19: .* already has 20 iterations"):
        make_trainer(None, resume=first.run, iterations=19)
    assert read_config(first.run, Config).iterations == 20


def test_the_best_weights_are_saved_and_logged(tmp_path):
    learner = Sums()
    trainer = make_trainer(tmp_path / "run", learner)
    figures = iter([0.5, 0.9, 0.2, 0.9])
    learner.evaluate = lambda: {"val": {"accuracy": next(figures)}}
    trainer.train()
    assert trainer.best == {"iteration": 10, "accuracy": 0.9}
    assert model_metadata(trainer.run)["iteration"] == "10"
    logged = [one["accuracy"] for one in read_log(trainer.run) if one["kind"] == "val"]
    assert logged == [0.5, 0.9, 0.2, 0.9]
    assert not (trainer.run / "tensorboard").exists()


def test_folders_are_not_overwritten_and_damaged_states_are_refused(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    trainer.save()
    with pytest.raises(FileExistsError, match="--resume"):
        make_trainer(tmp_path / "run")
    other = Sums()
    other.network = nn.Linear(3, 1)
    with pytest.raises(ValueError, match="does not fit") as error:
        make_trainer(None, other, resume=trainer.run)
    assert str(trainer.run / TRAINER) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_without_a_saved_state_starts_again(tmp_path, check_same_run):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    killed = make_trainer(tmp_path / "again")
    killed.step()
    killed.log.write("train", 1, {"loss": 1.0})
    killed.close()
    resumed = parse_resumed(
        Config, killed.run, ["--resume", str(killed.run)], frozenset({"resume"})
    )
    assert resumed == Config(output=killed.run)
    again = make_trainer(killed.run)
    again.train()
    check_same_run(whole, again)
    assert parse_resumed(Config, again.run, [], frozenset()).resume is None


def test_a_run_killed_between_saving_state_and_model_is_resumed(tmp_path, check_same_run):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    killed = make_trainer(tmp_path / "again")
    killed.learner.save_model = None  # as if killed there
    with pytest.raises(TypeError):
        killed.train()
    killed.close()
    assert not (killed.run / MODEL).exists()
    again = make_trainer(None, resume=killed.run)
    assert again.iteration == 5
    assert model_metadata(killed.run)["iteration"] == "5"
    again.train()
    check_same_run(whole, again)


def test_lost_best_weights_are_an_error(tmp_path):
    first = make_trainer(tmp_path / "run")
    first.best = {"iteration": 5, "accuracy": 1.0}
    first.iteration = 10
    first.save()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors.* of iteration 5, are lost"):
        make_trainer(None, resume=first.run)


def test_a_second_process_is_refused(tmp_path, locked_elsewhere):
    run = tmp_path / "run"
    make_trainer(run).close()
    before = (run / CONFIG).read_bytes()
    with locked_elsewhere(run) as other:
        for settings in ({"folder": run, "iterations": 7}, {"folder": None, "resume": run}):
            with pytest.raises(OutputInUseError, match=rf"run: process {other.pid} \(on"):
                make_trainer(**settings)
    assert (run / CONFIG).read_bytes() == before


@pytest.mark.parametrize(("room", "kept"), [(0, "Nothing is saved"), (1, "iteration 5 is")])
def test_the_error_of_a_full_disk_names_the_saved_state(
    tmp_path, monkeypatch, check_same_run, room, kept
):
    whole = make_trainer(tmp_path / "whole")
    whole.train()
    save, left = torch.save, [room]

    def save_while_there_is_room(state, file):
        left[0] -= 1
        if left[0] < 0:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, file)

    trainer = make_trainer(tmp_path / "full")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", save_while_there_is_room)
        problem = rf"trainer\.pt: .*No space left.* Make room\. .*{kept}.*--resume .*full$"
        with pytest.raises(UnwritableError, match=problem):
            trainer.train()
    assert not [path for path in trainer.run.iterdir() if ".writing" in path.name]
    folder = {"folder": None, "resume": trainer.run} if room else {"folder": trainer.run}
    again = make_trainer(**folder)
    again.train()
    check_same_run(whole, again)


def test_minutes_end_a_run_instead_of_iterations(tmp_path):
    learner = Sums()
    trainer = make_trainer(tmp_path / "run", learner, minutes=1.0, iterations=1_000_000)

    def half_a_minute_later():
        trainer.seconds += 30

    learner.before = half_a_minute_later
    trainer.train()
    assert trainer.iteration == 2
    assert trainer.progress == 1


@pytest.mark.parametrize("minutes", [None, 1.0])
def test_learning_rates_decay_with_progress(tmp_path, minutes):
    learner, rates, done = Sums(), [], []
    trainer = make_trainer(tmp_path / "run", learner, minutes=minutes)
    step = learner.optimiser.step

    def recorded():
        rates.append([group["lr"] for group in learner.optimiser.param_groups])
        return step()

    def a_fifth_of_a_minute_later():
        trainer.seconds += 12
        done.append(trainer.progress)

    learner.optimiser.step = recorded
    learner.before = a_fifth_of_a_minute_later
    learner.optimiser.param_groups[0]["rate_factor"] = 0.5
    trainer.train()
    assert len(rates) == (20 if minutes is None else 5)
    if minutes is None:
        assert done == pytest.approx([iteration / 20 for iteration in range(20)])
    expected = [[0.5 * learning_rate(COSINE, k, share)] for k, share in enumerate(done)]
    assert rates == expected
    assert rates[-1] < rates[0]


def test_dropout_is_active_in_training_only(tmp_path):
    learner, modes = Sums(), []
    trainer = make_trainer(tmp_path / "run", learner, iterations=4, evaluate_every=2)
    evaluate = learner.evaluate

    def recorded():
        modes.append(learner.network.training)
        return evaluate()

    learner.evaluate = recorded
    learner.before = lambda: modes.append(learner.network.training)
    trainer.train()
    assert modes == [True, True, False, True, True, False]


class Second:
    """Rank 1 of two; rank 0 received a request to stop."""

    def rank(self):
        return 1

    def all_gather(self, value):
        return [True, value] if isinstance(value, bool) else [value, value]


def test_only_rank_0_writes_and_all_ranks_stop_together(tmp_path):
    trainer = make_trainer(tmp_path / "run", group=Second())
    with pytest.raises(SystemExit, match=r"after 1 iteration\."):
        trainer.train()
    trainer.report({})
    assert not (tmp_path / "run").exists()


def test_processes_of_torchrun_do_not_repeat_a_training_of_a_single_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="torchrun started 2 processes, but this training uses one"):
        make_trainer(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("WORLD_SIZE", "1")
    make_trainer(tmp_path / "run").close()
