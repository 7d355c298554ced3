"""Map agents and HAMT that read instructions and views through the representations."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from clipnav.agents.duet.learner import MapLearner
from clipnav.agents.duet.pretraining_learner import MapPretrainingLearner, pretrain
from clipnav.agents.duet.settings import MapPretrainConfig, MapTrainConfig, MapTransformerConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.hamt.settings import HistoryTrainConfig, HistoryTransformerConfig
from clipnav.agents.settings import RepresentationConfig
from clipnav.agents.transformer.text import PretrainedTextEncoder
from clipnav.envs.tokenizers import load_tokenizer
from clipnav.training.checkpoints import VOCABULARY
from clipnav.training.optimiser_settings import OptimiserConfig

TUNED = RepresentationConfig(tune_language=True, language_learning_rate=1e-3, tune_visual=True)


@pytest.fixture
def shared(doors_run, language_run, visual_run):
    """Settings of trainings and pre-trainings with both representations."""
    values = {**doors_run, "dataset": "rxr", "batch_size": 6, "max_episode_steps": 30}
    return values | {
        "max_instruction_length": 24,
        "iterations": 4,
        "max_decisions": 4,
        "evaluation_splits": ("val_unseen",),
        "select_by": "val_unseen",
        "network": MapTransformerConfig(
            hidden_size=32,
            heads=2,
            feed_forward_size=64,
            panorama_layers=1,
            cross_layers=1,
            max_steps=12,
            revisits=True,
        ),
        "optimiser": OptimiserConfig(name="adam", learning_rate=1e-2),
        "language_representation": language_run,
        "visual_representation": visual_run,
    }


@pytest.fixture
def config(shared):
    """A map agent with both representations."""
    return MapTrainConfig(**shared)


def test_hamt_reads_both_representations(shared, tmp_path):
    sizes = {"hidden_size": 32, "heads": 2, "feed_forward_size": 64, "cross_layers": 1}
    changes = {"network": HistoryTransformerConfig(**sizes), "max_episode_steps": 6}
    settings = {name: value for name, value in shared.items() if name != "max_decisions"}
    config = HistoryTrainConfig(**{**settings, **changes}, clear=TUNED, output=tmp_path / "run")
    train(config)
    env, agent = load_run(config.output, "val_unseen")
    assert env.tokenizer == load_tokenizer(config.language_representation / VOCABULARY)
    assert isinstance(agent.model.text, PretrainedTextEncoder)
    weights = load_file(config.visual_representation / "model.safetensors")
    found = dict(agent.model.features.views.network.named_parameters())
    assert found.keys() <= weights.keys()
    assert not all(torch.equal(found[name], weights[name]) for name in found), "it was tuned"


@pytest.mark.parametrize("clear", [RepresentationConfig(), TUNED], ids=["frozen", "tuned"])
def test_only_tuned_representations_have_gradients(config, clear):
    learner = MapLearner(dataclasses.replace(config, clear=clear))
    learner.model.train()
    learner.backward(0)
    for name, weight in learner.model.named_parameters():
        if name.startswith("panorama.views"):
            assert (weight.grad is not None) == clear.tune_visual, name
    network = learner.model.text.text.network
    gradients = [w.grad is not None for n, w in network.named_parameters() if "pooler" not in n]
    assert all(gradients) if clear.tune_language else not any(gradients)


def test_pretraining_starts_a_map_agent(shared, config, tmp_path):
    settings = MapPretrainConfig(**shared, output=tmp_path / "pretrained")
    learner = MapPretrainingLearner(settings)
    frozen = learner.model.text.frozen
    stored = dict(frozen._places)
    learner.network.train()
    for iteration in range(6):
        learner.backward(iteration)
    # Only the instructions of the splits are stored, not those with masked words.
    instructions = {row[row != 0].astype("int64").tobytes() for row in learner.env.split.tokens}
    assert set(frozen._places) - stored.keys() <= instructions
    pretrain(settings)
    started = dataclasses.replace(config, start_from=settings.output, output=tmp_path / "agent")
    weights = MapLearner(started).model.state_dict()
    saved = load_file(settings.output / "model.safetensors")
    assert saved.keys() == weights.keys()
    for name, value in saved.items():
        assert torch.equal(value, weights[name]), name
