"""Map agents with other inputs: no vision, other instructions, several languages, a text model."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.duet.learner import MapLearner
from clipnav.agents.experiments.runs import evaluate_run, load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.settings import EvaluateConfig, TextConfig, read_agent_config
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import load_trainer


def test_an_evaluation_can_end_episodes_without_the_walk_back(map_config, tree_settings):
    config = dataclasses.replace(map_config, **tree_settings, max_decisions=4, iterations=20)
    results = train(config)
    evaluation = EvaluateConfig(config.output, baselines=False)
    assert _scores(evaluation) == results["val_unseen"]["map agent"]
    without = dataclasses.replace(evaluation, stops_at_best=False)
    assert not without.settings(read_agent_config(config.output)).stops_at_best
    # Episodes that end where the agent is have no last walk.
    assert _scores(without)["TL"] < _scores(evaluation)["TL"]


def _scores(evaluation):
    return evaluate_run(evaluation)["val_unseen"]["map agent"]


def test_only_map_agents_can_be_evaluated_without_the_walk_back(doors_config):
    config = dataclasses.replace(doors_config, iterations=1)
    train(config)
    with pytest.raises(UserError, match=r"--stops-at-best False: .* not the run of a map agent"):
        evaluate_run(EvaluateConfig(config.output, stops_at_best=False))


@pytest.mark.parametrize("tune", [False, True])
def test_a_text_model_is_fine_tuned_or_frozen(short_config, tiny_bert, tune):
    name = str(tiny_bert)
    rate = {"learning_rate": 1e-2} if tune else {}
    config = dataclasses.replace(
        short_config,
        iterations=3,
        text=TextConfig(tokens="pretrained", model=name, tune=tune, **rate),
        network=dataclasses.replace(short_config.network, text_model=name),
    )
    trainer, learner = make_agent_trainer(MapLearner, config)
    network = learner.model.text.text.network
    before = {n: w.clone() for n, w in network.state_dict().items()}
    trainer.train()
    after = network.state_dict()
    changed = [n for n, weight in before.items() if not torch.equal(weight, after[n])]
    assert bool(changed) == tune
    # A frozen model is not saved with the agent.
    assert any(n.startswith("text.model") for n in learner.model.state_dict()) == tune
    load_run(config.output, "val_unseen")
    assert load_trainer(config.output)["iteration"] == 3


def test_a_batch_of_bfloat16_has_almost_the_same_loss(short_config):
    losses = []
    for precision in ("fp32", "bf16"):
        network = dataclasses.replace(short_config.network, dropout=0.0, feature_dropout=0.0)
        config = dataclasses.replace(short_config, network=network, precision=precision)
        torch.manual_seed(0)
        losses.append(MapLearner(config).backward(0)["loss"])
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-2)
