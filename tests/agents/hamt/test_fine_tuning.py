"""Training of HAMT in the world of the doors."""

import dataclasses
import json

import pytest
import torch

from clipnav.agents.duet.settings import MapTrainConfig, MapTransformerConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.hamt.learner import HistoryLearner
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.agents.settings import ReinforcementConfig
from clipnav.training.checkpoints import RESULTS, VOCABULARY
from clipnav.viewer.trace import record


def test_hamt_learns_a_trivial_world(history_config):
    config = dataclasses.replace(
        history_config,
        iterations=300,
        cloning_iterations=220,
        teacher_weight=1.0,
        reinforcement=ReinforcementConfig(weight=1.0),
        reward="ndtw",
    )
    results = train(config)
    for split in ("val_seen", "val_unseen"):
        assert results[split]["HAMT"]["SR"] > 0.8
        assert results[split]["HAMT"]["SPL"] > 0.8
        assert results[split]["random"]["SR"] < 0.7
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"] == results


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
    config = dataclasses.replace(history_config, iterations=1)
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
