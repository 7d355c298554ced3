import dataclasses
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from storage.runs.checkpoints import MODEL, TRAINER, load_trainer
from storage.runs.log import read_log
from vl_tasks.configs import OptimiserConfig, RunConfig
from vl_tasks.optimisers import learning_rate, limit_gradient, make_optimiser
from vl_tasks.training import BatchOrder, DivergedError, Trainer, is_held_out


class NamedRun(RunConfig):
    @property
    def task(self):
        return "sums"


class Sums:
    """Learns to add two numbers, with dropout, so that its noise must be right."""

    metric = "accuracy"
    records = 23

    def __init__(self):
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(
            nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        rng = np.random.default_rng(0)
        self.inputs = torch.from_numpy(rng.standard_normal((23, 2)).astype(np.float32))
        self.before_loss = lambda rows: None
        self.evaluations = 0

    def loss(self, rows):
        self.before_loss(rows)
        found = self.network(self.inputs[rows])[:, 0]
        return ((found - self.inputs[rows].sum(1)) ** 2).mean(), {"size": float(len(rows))}

    def evaluate(self):
        self.evaluations += 1
        error = (self.network(self.inputs)[:, 0] - self.inputs.sum(1)).abs().mean()
        return {"accuracy": 1 - error.item(), "error": error.item()}

    def start(self, run):
        (run / "numbers.txt").write_text("two")

    def save(self, run, iteration):
        (run / MODEL).write_text(f"{iteration}")


def config(tmp_path, **changes):
    return NamedRun(
        output=tmp_path / "run", iterations=20, batch_size=4, evaluate_every=5, **changes
    )


def test_a_run_that_stops_and_goes_on_is_the_run_without_a_stop(tmp_path):
    whole = Trainer(config(tmp_path / "whole"), Sums())
    whole.train()
    assert (whole.run / "numbers.txt").read_text() == "two"
    half = config(tmp_path / "halves")
    # A cosine's rate depends on the length of the run, which is the same: it is stopped.
    first = Trainer(half, stopping := Sums())
    stopping.before_loss = lambda rows: interrupt_at(first, 9)
    with pytest.raises(SystemExit, match=rf"after 10 iterations.*--resume {first.run}"):
        first.train()
    assert load_trainer(first.run)["iteration"] == 10
    second = Trainer(dataclasses.replace(half, resume=first.run), Sums())
    second.train()
    for name, value in whole.learner.network.state_dict().items():
        assert torch.equal(value, second.learner.network.state_dict()[name])
    assert same_events(whole.run) == same_events(second.run)
    assert second.best == whole.best
    assert (second.run / MODEL).read_text() == (whole.run / MODEL).read_text()


def interrupt_at(trainer, iteration):
    if trainer.iteration == iteration:
        os.kill(os.getpid(), signal.SIGINT)


def same_events(run):
    return [{k: v for k, v in one.items() if k != "seconds"} for one in read_log(run)]


def test_losses_that_are_no_numbers_stop_with_a_saved_state(tmp_path):
    learner = Sums()
    trainer = Trainer(config(tmp_path), learner)

    def spoil(rows):
        if trainer.iteration == 7:
            learner.inputs[rows[0]] = torch.nan

    learner.before_loss = spoil
    with pytest.raises(DivergedError, match=r"iteration 7.*state before it is saved") as error:
        trainer.train()
    assert str(trainer.run) in str(error.value)
    state = load_trainer(trainer.run)
    assert state["iteration"] == 7
    assert all(bool(weight.isfinite().all()) for weight in state["weights"].values())


def test_the_best_weights_are_kept_and_logged(tmp_path):
    learner = Sums()
    trainer = Trainer(config(tmp_path), learner)
    figures = iter([0.5, 0.9, 0.2, 0.9])
    learner.evaluate = lambda: {"accuracy": next(figures)}
    trainer.train()
    assert trainer.best == {"iteration": 10, "accuracy": 0.9}
    assert (trainer.run / MODEL).read_text() == "10"
    logged = [one["accuracy"] for one in read_log(trainer.run) if one["kind"] == "val"]
    assert logged == [0.5, 0.9, 0.2, 0.9]
    assert any((trainer.run / "tensorboard").iterdir())


def test_folders_are_not_overwritten_and_damage_is_named(tmp_path):
    trainer = Trainer(config(tmp_path), Sums())
    with pytest.raises(FileExistsError, match="--resume"):
        Trainer(config(tmp_path), Sums())
    trainer.save()
    other = Sums()
    other.network = nn.Linear(3, 1)
    with pytest.raises(ValueError, match="does not fit") as error:
        Trainer(dataclasses.replace(config(tmp_path), resume=trainer.run), other)
    assert str(trainer.run / TRAINER) in str(error.value)


def test_every_epoch_takes_every_record_once():
    order = BatchOrder(10, 4, seed=3)
    taken = np.concatenate([order.batch(k) for k in range(5)])
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert taken[:10].tolist() != taken[10:].tolist()
    np.testing.assert_array_equal(BatchOrder(10, 4, 3).batch(3), order.batch(3))
    assert BatchOrder(3, 8, 0).batch(1).shape == (8,)


def test_learning_rates_follow_their_schedules():
    steps = OptimiserConfig(
        learning_rate=1.0, schedule="steps", warmup=10, warmup_start=0.2, milestones=(20, 30)
    )
    rates = [learning_rate(steps, k, 40) for k in (0, 4, 9, 19, 20, 30)]
    assert rates == pytest.approx([0.28, 0.6, 1, 1, 0.1, 0.01])
    noam = OptimiserConfig(learning_rate=(512 * 20_000) ** -0.5, schedule="noam", warmup=20_000)
    for step in (1, 100, 20_000, 80_000):
        published = 512**-0.5 * min(step**-0.5, step * 20_000**-1.5)
        assert learning_rate(noam, step - 1, 100_000) == pytest.approx(published)
    cosine = OptimiserConfig(learning_rate=2.0, schedule="cosine")
    assert learning_rate(cosine, 50, 100) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("clip", "expected"), [("none", [3, 4]), ("norm", [0.3, 0.4]), ("value", [0.5, 0.5])]
)
def test_gradients_are_limited_by_norm_or_by_value(clip, expected):
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert limit_gradient(layer, OptimiserConfig(clip=clip, clip_at=0.5)) == pytest.approx(5)
    assert layer.weight.grad[0].tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax"])
def test_optimisers_take_their_settings(name):
    config = OptimiserConfig(name, 0.25, (0.8, 0.9), 1e-7)
    made = make_optimiser(nn.Linear(2, 1), config)
    assert type(made).__name__.lower() == name
    group = made.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (0.25, (0.8, 0.9), 1e-7)


def test_a_twentieth_of_the_pictures_is_held_out():
    held = [one for one in range(20_000) if is_held_out(one)]
    assert 850 < len(held) < 1150
