import dataclasses
import json

import numpy as np
import pytest
import torch

from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.experiments.runs import load_walkers
from clipnav.agents.experiments.training import train
from clipnav.agents.learning import agent_learner
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.agents.settings import EvaluateConfig, ReinforcementConfig
from clipnav.storage.features.opening import open_store
from clipnav.training.checkpoints import MODEL, RESULTS, load_trainer
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.run_folder import run_folder
from clipnav.training.settings import read_config
from clipnav.training.trainer import DivergedError
from tests.agents.weights import assert_equal_weights, weights_of


def make_trainer(config):
    return make_agent_trainer(FollowerLearner, config)[0]


def test_a_run_to_start_from_must_exist(small_config):
    # A run that has moved: the settings come from a file, so that no flag names it.
    config = dataclasses.replace(small_config, start_from=small_config.output / "moved")
    match = rf"vocabulary\.json: no such file; --start-from {config.start_from} \(.*--config\)"
    with pytest.raises(FileNotFoundError, match=match):
        make_trainer(config)


@pytest.mark.parametrize("feedback", ["sample", "mixed"])
def test_follower_learns_a_trivial_world(doors_config, feedback, capsys):
    config = dataclasses.replace(doors_config, feedback=feedback, iterations=150)
    results = train(config)
    for split in ("val_seen", "val_unseen"):
        assert results[split]["follower"]["SR"] > 0.8
        assert results[split]["follower"]["SPL"] > 0.8
        assert results[split]["random"]["SR"] < 0.7
        assert results[split]["shortest path"]["SR"] == 1.0
    printed = capsys.readouterr().out
    assert "val_unseen  follower" in printed
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"] == results
    assert report["iterations"] == 150


def test_shuffled_instructions_apply_to_training_and_evaluation(doors_config):
    config = dataclasses.replace(doors_config, instruction_ablation="shuffled", iterations=2)
    read = dataclasses.replace(config, instruction_ablation="none")
    shuffled, learner = FollowerLearner(config), FollowerLearner(read)
    pairs = [(shuffled.env, learner.env)]
    pairs += zip(shuffled.evaluation_envs.values(), learner.evaluation_envs.values(), strict=True)
    for exchanged, own in pairs:
        paths = {episode.instruction: set() for episode in own.episodes}
        for episode in own.episodes:
            paths[episode.instruction].add(episode.path_id)
        instructions = [episode.instruction for episode in exchanged.episodes]
        assert sorted(instructions) == sorted(episode.instruction for episode in own.episodes)
        assert all(paths[e.instruction] - {e.path_id} for e in exchanged.episodes)
        observation, info = exchanged.reset(seed=0)
        for tokens, text in zip(observation["instruction"], info["instruction"], strict=True):
            assert (tokens == own.tokenizer.encode(text, len(tokens))).all()
    results = train(dataclasses.replace(config, iterations=60))
    assert results["val_unseen"]["follower (shuffled instructions)"]["SR"] < 0.6
    _, env, walkers = load_walkers(EvaluateConfig(config.output), "val_unseen")
    assert next(iter(walkers)) == "follower (shuffled instructions)"
    assert env.episodes == shuffled.evaluation_envs["val_unseen"].episodes


def test_reinforcement_alone_learns_the_world(doors_config):
    config = dataclasses.replace(
        doors_config,
        imitation_weight=0.0,
        reinforcement=ReinforcementConfig(weight=1.0, entropy=0.1),
        optimiser=OptimiserConfig(name="adam", learning_rate=5e-3),
    )
    trainer = make_trainer(config)
    rewards = [trainer.step()["reward"] for _ in range(80)]
    # Stopping at once gives -2, walking to the right door and stopping +3.
    assert sum(rewards[-10:]) / 10 > sum(rewards[:10]) / 10 + 1


def test_features_are_scaled_by_those_of_the_training_scans(small_config):
    scale = FollowerLearner(small_config).follower.scale
    store = open_store(small_config.features)
    rows = [row for row, key in enumerate(store.keys) if key.startswith("room")]
    views = store.views[rows].astype(np.float64).reshape(-1, 4)
    assert len(rows) < len(store.keys)
    np.testing.assert_allclose(scale.scale[:4], 1 / views.std(0), rtol=1e-3)
    np.testing.assert_allclose(scale.shift[:4], -views.mean(0) / views.std(0), rtol=1e-3)
    assert scale.scale[4:].tolist() == [1] * 4
    assert scale.shift[4:].tolist() == [0] * 4


def test_matrix_products_have_the_precision_of_the_settings(small_config):
    steps = {}
    for precision in ("fp32", "bf16"):
        config = dataclasses.replace(small_config, precision=precision)
        prepare(config)
        learner = FollowerLearner(config)
        loss = learner.backward(0)["loss"]
        steps[precision] = loss, [weight.grad for weight in learner.network.parameters()]
    (exact, gradients), (rough, roughly) = steps["fp32"], steps["bf16"]
    assert rough == pytest.approx(exact, rel=1e-2)
    for one, other in zip(roughly, gradients, strict=True):
        assert not torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.02)


@pytest.mark.parametrize(("is_fast", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_a_run_records_the_precision_that_auto_chooses(
    small_config, monkeypatch, capsys, is_fast, chosen
):
    monkeypatch.setattr(agent_learner, "multiplies_bf16", lambda device: is_fast)
    make_trainer(dataclasses.replace(small_config, precision="auto"))
    assert capsys.readouterr().out == f"--precision auto: {chosen}\n"
    assert read_config(small_config.output, TrainConfig).precision == chosen


def test_resuming_with_features_of_another_encoder_is_refused(small_config, other_features):
    make_trainer(dataclasses.replace(small_config, iterations=2)).train()
    config = dataclasses.replace(small_config, features=other_features, resume=small_config.output)
    with pytest.raises(ValueError, match="encoder colours, but here it is shades") as error:
        make_trainer(config)
    assert str(small_config.output / MODEL) in str(error.value)


def test_a_run_does_not_overwrite_another(small_config, tmp_path, monkeypatch):
    make_trainer(small_config).save()
    with pytest.raises(FileExistsError, match="--resume"):
        run_folder(small_config)
    monkeypatch.chdir(tmp_path)
    unnamed = dataclasses.replace(small_config, output=None, vision=False)
    first = run_folder(unnamed)
    assert first.name == "r2r-matterport-no-vision"
    first.mkdir(parents=True)
    assert run_folder(unnamed).name == "r2r-matterport-no-vision-2"


def test_exploding_loss_stops_the_run_with_its_last_good_state(small_config):
    trainer = make_trainer(small_config)
    trainer.step()
    before = {name: value.clone() for name, value in trainer.learner.network.state_dict().items()}
    backward = trainer.learner.backward
    trainer.learner.backward = lambda iteration: {**backward(iteration), "loss": 1e9}
    with pytest.raises(DivergedError, match="iteration 1 has loss 1e") as error:
        trainer.step()
    assert "--optimiser.learning-rate" in str(error.value)
    assert load_trainer(trainer.run)["iteration"] == 1
    assert_equal_weights(weights_of(trainer.run), before)


def test_weights_that_are_not_finite_are_not_saved(small_config):
    trainer = make_trainer(small_config)
    trainer.save()
    before = weights_of(trainer.run)
    with torch.no_grad():
        trainer.learner.follower.decoder.words.mix.weight.fill_(torch.nan)
    with pytest.raises(DivergedError, match="the weights are not finite either"):
        trainer.step()
    assert_equal_weights(weights_of(trainer.run), before)
