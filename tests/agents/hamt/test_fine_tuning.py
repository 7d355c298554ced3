"""Training of HAMT in the world of the doors."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.duet.network_settings import MapTransformerConfig
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.hamt.learner import HistoryLearner
from clipnav.agents.learning.agent_trainer import make_agent_trainer, prepare
from clipnav.agents.settings import ReinforcementConfig, read_agent_config
from clipnav.training.checkpoints import RESULTS, VOCABULARY, load_trainer
from clipnav.viewer.trace import record
from tests.agents.weights import assert_equal_weights, weights_of

A2C = ReinforcementConfig(weight=1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"sampled_weight": 1.0, "cloning_iterations": 120},
        {"reinforcement": A2C, "reward": "ndtw", "cloning_iterations": 140},
    ],
    ids=["dagger", "reinforcement"],
)
def test_hamt_learns_a_trivial_world(history_config, changes):
    config = dataclasses.replace(history_config, iterations=200, teacher_weight=1.0, **changes)
    results = train(config)
    for split in ("val_seen", "val_unseen"):
        assert results[split]["HAMT"]["SR"] == 1.0
        assert results[split]["HAMT"]["SPL"] == 1.0
        assert results[split]["random"]["SR"] < 0.7
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"] == results


def test_rewards_increase_with_reinforcement_alone(history_config):
    config = dataclasses.replace(history_config, teacher_weight=0.0, reinforcement=A2C)
    trainer, _ = make_agent_trainer(HistoryLearner, config)
    rewards = [trainer.step()["reward"] for _ in range(60)]
    assert np.mean(rewards[-10:]) > np.mean(rewards[:10]) + 0.5


def test_a_loaded_run_walks_as_evaluated(history_config):
    config = dataclasses.replace(history_config, iterations=20)
    results = train(config)
    assert read_agent_config(config.output) == dataclasses.replace(config, resume=None)
    env, agent = load_run(config.output, "val_unseen")
    assert evaluate(env, agent).summary() == results["val_unseen"]["HAMT"]


def test_the_critic_has_the_dropout_of_the_network_or_its_own(short_config):
    for rate, expected in ((None, 0.1), (0.5, 0.5), (0.0, 0.0)):
        trainer, learner = make_agent_trainer(
            HistoryLearner, dataclasses.replace(short_config, critic_dropout=rate)
        )
        trainer.close()
        assert learner.network.critic.dropout.rate == expected
        assert learner.model.head.dropout.rate == 0.1


def test_resume_is_bit_identical(short_config, tmp_path):
    constant = dataclasses.replace(short_config.optimiser, schedule="constant")
    whole = dataclasses.replace(short_config, output=tmp_path / "whole", optimiser=constant)
    make_agent_trainer(HistoryLearner, whole)[0].train()
    parts = dataclasses.replace(whole, output=tmp_path / "parts", iterations=3)
    make_agent_trainer(HistoryLearner, parts)[0].train()
    resumed = dataclasses.replace(whole, output=None, resume=tmp_path / "parts")
    make_agent_trainer(HistoryLearner, resumed)[0].train()
    assert load_trainer(tmp_path / "parts")["iteration"] == 6
    weights = weights_of(tmp_path / "whole")
    assert any(name.startswith("critic.") for name in weights)
    assert_equal_weights(weights, weights_of(tmp_path / "parts"))


def test_frozen_encoders_keep_the_weights_of_the_other_run(short_config, tmp_path):
    first = dataclasses.replace(short_config, output=tmp_path / "first", iterations=2)
    make_agent_trainer(HistoryLearner, first)[0].train()
    config = dataclasses.replace(
        short_config, start_from=tmp_path / "first", freeze_encoders=True, iterations=2
    )
    trainer, learner = make_agent_trainer(HistoryLearner, config)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    trainer.train()
    for name, value in learner.model.state_dict().items():
        is_frozen = name.startswith(("text.", "history.", "features."))
        unused = name.startswith("layers.1.language.") and not config.network.language_attention
        unmoved = name == "head.outer.bias"  # a softmax cancels it
        if not (unused or unmoved):
            assert torch.equal(value, before[name]) == is_frozen, name


def test_words_without_an_embedding_are_not_frozen(short_config, tmp_path):
    first = dataclasses.replace(short_config, output=tmp_path / "first", iterations=1)
    make_agent_trainer(HistoryLearner, first)[0].train()
    vocabulary = tmp_path / "first" / VOCABULARY
    words = json.loads(vocabulary.read_text())["words"]
    others = [{"white": "black", "green": "brown"}.get(word, word) for word in words]
    vocabulary.write_text(json.dumps({"words": others}))
    config = dataclasses.replace(
        short_config, start_from=tmp_path / "first", freeze_encoders=True, iterations=1
    )
    prepare(config)
    complaint = f"--freeze-encoders: 2 of {len(words)} words have no embedding in .*first, so that"
    with pytest.raises(ValueError, match=complaint):
        HistoryLearner(config)
    HistoryLearner(dataclasses.replace(config, freeze_encoders=False))


def test_a_run_does_not_start_from_another_agent(history_config, tmp_path):
    sizes = {"hidden_size": 32, "heads": 2, "feed_forward_size": 64, "text_layers": 1}
    config = history_config
    other = MapTrainConfig(
        **{name: getattr(config, name) for name in ("world", "data_dir", "features")},
        iterations=1,
        max_episode_steps=4,
        evaluation_splits=("val_seen",),
        network=MapTransformerConfig(**sizes),
        output=tmp_path / "map",
    )
    train(other)
    prepare(config)
    with pytest.raises(ValueError, match="its agent is map"):
        HistoryLearner(dataclasses.replace(config, start_from=tmp_path / "map"))


def test_a_run_starts_with_the_word_encoder_of_a_follower(history_config, doors_config, tmp_path):
    sizes = {"embedding_size": 32, "hidden_size": 64}
    follower = dataclasses.replace(
        doors_config,
        iterations=2,
        output=tmp_path / "follower",
        follower=dataclasses.replace(doors_config.follower, **sizes),
    )
    train(follower)
    encoder = load_run(follower.output, "val_unseen")[1].follower.encoder
    network = dataclasses.replace(history_config.network, text_encoder="lstm")
    config = dataclasses.replace(history_config, network=network, start_from=follower.output)
    prepare(config)
    text = HistoryLearner(config).model.text
    assert torch.equal(text.words.weight[1:], encoder.embedding.weight[1:])
    # A follower has no history encoder, which would stay untrained.
    with pytest.raises(ValueError, match="follower, which has no history encoder"):
        HistoryLearner(dataclasses.replace(config, freeze_encoders=True))


def test_traces_contain_the_probabilities_of_all_candidates(history_config, tmp_path):
    config = dataclasses.replace(history_config, iterations=20)
    train(config)
    env, agent = load_run(config.output, "val_unseen")
    ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        traces = record(env, agent, ids, tmp_path / "traces", name="HAMT")
    for trace in traces:
        for step in trace.steps:
            chances = [candidate.probability for candidate in step.candidates]
            assert sum(chances) + step.stop_probability == pytest.approx(1, abs=2e-3)
            best = max([step.stop_probability, *chances])
            assert [step.stop_probability, *chances][step.action] == best


@pytest.mark.parametrize(
    ("missing", "changes"),
    [
        ("no vision", {"vision": False}),
        ("empty instructions", {"instruction_ablation": "empty"}),
    ],
)
def test_ablated_agents_have_names_and_can_be_loaded(short_config, missing, changes):
    config = dataclasses.replace(short_config, iterations=3, **changes)
    results = train(config)
    assert next(iter(results["val_unseen"])) == f"HAMT ({missing})"
    load_run(config.output, "val_unseen")
