import dataclasses
import os
import signal
from functools import partial

import numpy as np
import pytest
import torch

from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer
from clipnav.vl_tasks.reliability.methods import build_estimator, expected_calibration_error
from clipnav.vl_tasks.reliability.scores.metrics import coverage_at, ties_averaged_auc
from clipnav.vl_tasks.reliability.training import SelectionLearner, _thresholds


def trainer_of(task):
    torch.manual_seed(task.config.seed)
    estimator = build_estimator(task.config, task.outputs.widths)
    assert estimator is not None
    noise = partial(iteration_seed, task.config.seed, Stream.SELECTOR_NOISE)
    return Trainer(task.config, SelectionLearner(task, estimator), noise), estimator


def trained(task):
    trainer, estimator = trainer_of(task)
    trainer.train()
    trainer.close()
    return estimator


def test_a_selector_learns_what_the_scores_do_not_say(misleading_task):
    task = misleading_task("selector", iterations=150)
    optimiser = dataclasses.replace(task.config.optimiser, learning_rate=3e-3)
    task = dataclasses.replace(task, config=dataclasses.replace(task.config, optimiser=optimiser))
    before = {name: array.copy() for name, array in task.outputs.arrays.items()}
    selected = task.score("test", task.predict(trained(task), "test"))
    maximal = task.score("test", task.predict(None, "test"))
    assert np.array_equal(selected.accuracy, maximal.accuracy)  # the answers stay
    # The chance p that an answer is correct is uniform: the best area is 1/4, that of a random
    # order 1/2.
    assert ties_averaged_auc(maximal) == pytest.approx(0.5, abs=0.06)
    assert ties_averaged_auc(selected) < 0.36
    assert all(np.array_equal(task.outputs.arrays[name], array) for name, array in before.items())


def quick(task, learning_rate):
    optimiser = dataclasses.replace(task.config.optimiser, learning_rate=learning_rate)
    return dataclasses.replace(task, config=dataclasses.replace(task.config, optimiser=optimiser))


@pytest.mark.parametrize("loss", ["regress-mse", "regress-l1", "threshold", "max-index"])
def test_every_loss_lowers_the_risk(misleading_task, loss):
    task = quick(misleading_task("selector", iterations=250, loss=loss), 3e-3)
    assert ties_averaged_auc(task.score("test", task.predict(trained(task), "test"))) < 0.36


def test_calibration_lowers_the_calibration_error(misleading_task):
    task = quick(misleading_task("calibration", epochs=None, iterations=600), 3e-2)
    scored = [task.score("test", task.predict(one, "test")) for one in (None, trained(task))]
    before, after = (expected_calibration_error(s.accuracy, s.confidence) for s in scored)
    assert before > 0.3  # confident, and half of the answers are wrong
    assert after < 0.7 * before


def test_resume_is_bit_identical(misleading_task, tmp_path, check_same_run):
    settings = {"iterations": 40, "evaluate_every": 10}
    whole = trainer_of(misleading_task("selector", **settings))[0]
    whole.train()
    task = misleading_task("selector", **settings, output=tmp_path / "interrupted")
    first, _ = trainer_of(task)
    backward = first.learner.backward

    def interrupting(iteration):
        if iteration == 14:
            os.kill(os.getpid(), signal.SIGINT)
        return backward(iteration)

    first.learner.backward = interrupting  # type: ignore[method-assign]
    with pytest.raises(SystemExit, match="after 15 iterations"):
        first.train()
    config = dataclasses.replace(task.config, output=None, resume=first.run)
    second, _ = trainer_of(dataclasses.replace(task, config=config))
    second.train()
    check_same_run(whole, second)


def test_thresholds_keep_their_risk(misleading_task, capsys):
    task = misleading_task("maxprob")
    val = task.score("val", task.predict(None, "val"))
    val = dataclasses.replace(val, accuracy=(val.confidence > np.median(val.confidence)) * 1.0)
    thresholds = {one.risk: one for one in _thresholds(val, (5.0, 60.0))}
    answered = val.confidence >= thresholds[5.0].threshold
    assert 1 - val.accuracy[answered].mean() <= 0.05
    assert 100 * answered.mean() == pytest.approx(thresholds[5.0].coverage)
    assert thresholds[60.0].coverage == 100
    assert "risk 5 %: threshold" in capsys.readouterr().out
    wrong = dataclasses.replace(val, accuracy=np.zeros(len(val.accuracy)))
    assert _thresholds(wrong, (5.0,))[0].threshold is None
    assert coverage_at(wrong, 0.05).coverage == 0
