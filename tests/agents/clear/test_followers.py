"""Followers that read instructions and views through the representations."""

import dataclasses
import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save

from clipnav.agents.acting.environments import make_env, reserve_text_states
from clipnav.agents.acting.tokenizers import make_tokenizer
from clipnav.agents.envdrop.learner import FollowerLearner, make_follower
from clipnav.agents.experiments.comparison import make_job
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.settings import ClearConfig, ReinforcementConfig
from clipnav.storage.errors import UserError
from clipnav.storage.tensor_files import write_tensors
from clipnav.training.checkpoints import MODEL, TRAINER, load_trainer, save_trainer
from clipnav.training.comparisons import SCORES
from clipnav.training.optimiser_settings import OptimiserConfig

BOTH = ClearConfig(
    tune_language=True, language_learning_rate=1e-3, tune_visual=True, contrastive_weight=0.2
)


@pytest.fixture
def config(doors_config, language_run, visual_run):
    """A follower with both representations."""
    return dataclasses.replace(
        doors_config,
        dataset="rxr",
        iterations=6,
        batch_size=8,
        max_instruction_length=24,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-2),
        reinforcement=ReinforcementConfig(weight=1.0),
        language_representation=language_run,
        visual_representation=visual_run,
    )


def test_frozen_representations_do_not_change(config, visual_run):
    learner = FollowerLearner(config)
    before = {k: v.clone() for k, v in learner.follower.state_dict().items()}
    learner.follower.train()
    learner.backward(0)
    learner.optimiser.step()
    after = learner.follower.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert not any(name.startswith("view_encoder") for name in changed)
    assert any(name.startswith("decoder") for name in changed)
    # The frozen transformer is not saved with the follower.
    assert not any("tuned" in name for name in after)


def test_the_contrastive_loss_has_its_weight(config):
    losses = {}
    for weight in (0.0, 0.5):
        torch.manual_seed(0)
        settings = dataclasses.replace(config.clear, contrastive_weight=weight)
        learner = FollowerLearner(dataclasses.replace(config, clear=settings))
        learner.network.eval()  # without dropout
        losses[weight] = learner.backward(0)
    assert "contrastive" not in losses[0.0]
    difference = losses[0.5]["loss"] - losses[0.0]["loss"]
    assert difference == pytest.approx(0.5 * losses[0.5]["contrastive"], rel=1e-4)


def change_weights(path):
    """Write other weights, as another training would."""
    with safe_open(path, "np") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}
        write_tensors(path, save({n: w + 1 for n, w in weights.items()}, file.metadata()))


def test_weights_of_another_representation_are_refused(config, visual_run, tmp_path):
    train(dataclasses.replace(config, output=tmp_path / "follower"))
    other = tmp_path / "other"
    shutil.copytree(visual_run, other)
    change_weights(other / "model.safetensors")
    settings = dataclasses.replace(config, visual_representation=other)
    with pytest.raises(ValueError, match=r"trained with visual representation [0-9a-f]{16}, but"):
        load_run(tmp_path / "follower", "val_unseen", settings)


@pytest.fixture
def retrained(config, language_run, tmp_path):
    """Settings of a run of two iterations whose language representation was trained again since."""
    language = tmp_path / "language"
    shutil.copytree(language_run, language)
    config = dataclasses.replace(
        config, language_representation=language, iterations=2, output=tmp_path / "follower"
    )
    trainer, _ = make_agent_trainer(FollowerLearner, config)
    trainer.train()
    trainer.close()
    change_weights(language / MODEL)
    return dataclasses.replace(config, output=None, resume=config.output, iterations=4)


@pytest.mark.parametrize("lacks", ["nothing", MODEL, "metadata"])
def test_a_run_is_not_resumed_on_a_representation_that_was_trained_again(retrained, lacks):
    run = retrained.resume
    if lacks == MODEL:  # as if killed before its first weights were saved
        (run / MODEL).unlink()
    if lacks == "metadata":  # the state of an earlier version
        state = load_trainer(run)
        del state["metadata"]
        save_trainer(run, state)
    file = TRAINER if lacks == MODEL else MODEL
    digest = "[0-9a-f]{16}"
    problem = f"follower/{file}: trained with language representation {digest}, but here it is"
    with pytest.raises(UserError, match=f"{problem} {digest}; "):
        make_agent_trainer(FollowerLearner, retrained)


def test_a_comparison_refuses_runs_on_a_representation_that_was_trained_again(retrained):
    run = retrained.resume
    (run / SCORES).write_text("{}")
    with pytest.raises(UserError, match=r"trained with language representation .*; choose another"):
        make_job(run, ["--config", str(run)])


def test_a_representation_of_other_features_is_refused(config, other_features):
    settings = dataclasses.replace(config, features=other_features)
    env = make_env(settings, "train", make_tokenizer(settings))
    with pytest.raises(ValueError, match="trained with encoder colours, but here it is shades"):
        make_follower(settings, env)


def test_text_states_must_fit_on_the_disk(config, monkeypatch):
    env = make_env(config, "train", make_tokenizer(config))
    follower = make_follower(config, env)
    tokens = {tuple(row[row != 0]) for row in env.split.tokens}
    size = 2 * 32 * sum(map(len, tokens))
    assert follower.encoder.frozen.reserve([env.split.tokens]) == size
    # Equal instructions are stored once; stored ones take no more room.
    assert follower.encoder.frozen.reserve([env.split.tokens] * 2) == size
    follower.encoder(torch.tensor(env.split.tokens[:1]))
    assert follower.encoder.frozen.reserve([env.split.tokens]) < size
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1 << 40, 0, (1 << 30) + 1_000))
    with pytest.raises(OSError, match=r"hidden states of \d+ instructions take .* GB are free"):
        reserve_text_states(follower.encoder, [env])
    with pytest.raises(OSError, match="name another folder with CLIPNAV_CACHE"):
        FollowerLearner(config)


def test_views_are_encoded_before_the_decoder(config):
    env = make_env(config, "train", make_tokenizer(config))
    follower = make_follower(config, env).eval()
    assert follower.scale is None
    seen = []
    follower.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    from clipnav.agents.acting.rollout import walk
    from clipnav.agents.envdrop.follower_agent import FollowerAgent
    from clipnav.envs.navigation.device_features import DeviceFeatures

    features = DeviceFeatures(env)
    with torch.no_grad():
        walk(env, FollowerAgent(follower, features), [env.episodes[0].instr_id], 1)
        views = features.gather(np.array([0]), np.array([0])).panorama
        encoded = follower.view_encoder.network(views[..., : follower.visual])
    assert seen[0].panorama.shape[-1] == follower.visual + follower.angle
    assert encoded.shape[-1] == follower.visual
    assert not seen[0].candidates[:, 0].any()
