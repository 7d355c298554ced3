import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer
from clipnav.vl_tasks.reliability.methods import build_estimator
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
