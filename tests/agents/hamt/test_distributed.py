"""Training of HAMT on two ranks, on one machine."""

import dataclasses

from clipnav.agents.hamt.learner import HistoryLearner
from clipnav.agents.learning.agent_trainer import make_agent_trainer
from clipnav.agents.settings import ReinforcementConfig
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.settings import CONFIG, to_json
from tests.agents.weights import assert_same_first_gradient
from tests.torchrun import SCRIPTS, run_two_ranks


def test_gradient_of_two_ranks_equals_one_process_with_twice_the_batch(
    history_config, launcher, tmp_path
):
    config = dataclasses.replace(
        history_config,
        batch_size=8,
        iterations=1,
        sampled_weight=1.0,
        reinforcement=ReinforcementConfig(weight=1.0),
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-4, clip="norm", clip_at=1e9),
        output=tmp_path / "one",
    )
    make_agent_trainer(HistoryLearner, config)[0].train()
    half = dataclasses.replace(config, batch_size=4, output=None)
    (tmp_path / CONFIG).write_text(to_json(half))
    arguments = ("--config", tmp_path / CONFIG, "--output", tmp_path / "two")
    run_two_ranks(launcher, tmp_path, SCRIPTS / "train_agent.py", *arguments)
    assert_same_first_gradient(tmp_path / "one", tmp_path / "two")
