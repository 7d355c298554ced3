import dataclasses
import json
import os
import signal

import numpy as np
import pytest
import torch

from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.experiments.runs import load_walkers
from clipnav.agents.experiments.training import train
from clipnav.agents.layers.visual import FeatureScale
from clipnav.agents.learning.agent_trainer import make_agent_trainer, prepare
from clipnav.agents.settings import EvaluateConfig, ReinforcementConfig
from clipnav.storage.features.opening import open_store
from clipnav.training.checkpoints import METRICS, MODEL, RESULTS, load_trainer
from clipnav.training.log import RunLog, read_log
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.run_folder import run_folder
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


@pytest.mark.parametrize("feedback", ["teacher", "sample", "mixed"])
def test_follower_learns_a_trivial_world(doors_config, feedback, capsys):
    config = dataclasses.replace(doors_config, feedback=feedback)
    results = train(config)
    for split in ("val_seen", "val_unseen"):
        assert results[split]["follower"]["SR"] == 1.0
        assert results[split]["follower"]["SPL"] == 1.0
        assert results[split]["random"]["SR"] < 0.7
        assert results[split]["shortest path"]["SR"] == 1.0
    printed = capsys.readouterr().out
    assert "val_unseen  follower" in printed
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"] == results
    assert report["iterations"] == 60


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


def test_imitation_and_reinforcement_learn_the_world_together(doors_config):
    config = dataclasses.replace(
        doors_config, imitation_weight=0.2, reinforcement=ReinforcementConfig(weight=1.0)
    )
    results = train(config)
    assert results["val_unseen"]["follower"]["SPL"] == 1.0


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


@pytest.mark.parametrize(
    ("missing", "changes"),
    [("no vision", {"vision": False}), ("empty instructions", {"instruction_ablation": "empty"})],
)
def test_ablated_followers_do_not_learn_the_world(doors_config, missing, changes):
    results = train(dataclasses.replace(doors_config, iterations=40, **changes))
    assert results["val_unseen"][f"follower ({missing})"]["SR"] < 0.7


def test_same_seed_same_weights(small_config, tmp_path):
    runs, orders = [], []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        config = dataclasses.replace(small_config, output=tmp_path / name, seed=seed)
        trainer, learner = make_agent_trainer(FollowerLearner, config)
        orders.append([learner._order.batch(iteration) for iteration in range(3)])
        trainer.train()
        runs.append(weights_of(tmp_path / name))
    assert orders[0] == orders[1]
    assert all(one != other for one, other in zip(orders[0], orders[2], strict=True))
    assert_equal_weights(runs[0], runs[1])
    name = "follower.decoder.candidates.query.weight"
    assert not torch.equal(runs[0][name], runs[2][name])


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


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_resume_is_bit_identical(small_config, tmp_path, monkeypatch, weight):
    config = dataclasses.replace(
        small_config,
        iterations=20,
        batch_size=4,
        optimiser=dataclasses.replace(small_config.optimiser, schedule="constant"),
        reinforcement=ReinforcementConfig(weight=weight),
    )
    make_trainer(dataclasses.replace(config, output=tmp_path / "whole")).train()
    make_trainer(dataclasses.replace(config, output=tmp_path / "parts", iterations=10)).train()
    assert load_trainer(tmp_path / "parts")["iteration"] == 10
    # The trainer restores the scale, so it is not fitted again.
    monkeypatch.setattr(FeatureScale, "fit", None)
    make_trainer(dataclasses.replace(config, resume=tmp_path / "parts")).train()
    whole, parts = load_trainer(tmp_path / "whole"), load_trainer(tmp_path / "parts")
    assert whole["iteration"] == parts["iteration"] == 20
    assert_equal_weights(whole["weights"], parts["weights"])
    moments = [state["optimiser"]["state"][0]["exp_avg"] for state in (whole, parts)]
    assert torch.equal(*moments)


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_resume_after_an_interrupt_is_bit_identical(small_config, tmp_path, name):
    optimiser = dataclasses.replace(small_config.optimiser, name=name)
    config = dataclasses.replace(small_config, optimiser=optimiser)
    make_trainer(dataclasses.replace(config, output=tmp_path / "whole")).train()

    trainer = make_trainer(dataclasses.replace(config, output=tmp_path / "parts"))
    step = trainer.step

    def step_and_interrupt():
        if trainer.iteration == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step()

    trainer.step = step_and_interrupt
    with pytest.raises(SystemExit, match=f"--resume {tmp_path / 'parts'}"):
        trainer.train()
    assert load_trainer(tmp_path / "parts")["iteration"] == 3
    assert (tmp_path / "parts" / MODEL).is_file(), "weights to use, though never evaluated"

    make_trainer(dataclasses.replace(config, resume=tmp_path / "parts")).train()
    assert_equal_weights(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))


def test_best_weights_by_spl_are_kept(small_config):
    trainer = make_trainer(small_config)
    best = None
    for spl in (0.3, 0.5, 0.4):
        trainer.step()
        trainer.learner.evaluate = lambda spl=spl: {"val_unseen": {"SPL": spl, "SR": spl}}
        trainer.evaluate()
        if spl == 0.5:
            weights_now = trainer.learner.follower.state_dict()
            best = {name: value.clone() for name, value in weights_now.items()}
    assert trainer.best == {"iteration": 2, "SPL": 0.5}
    trainer.learner.load_model(trainer.run)
    assert best is not None
    assert_equal_weights(best, trainer.learner.follower.state_dict())


def test_log_has_a_line_per_event_and_resuming_removes_later_ones(small_config, tmp_path):
    trainer = make_trainer(dataclasses.replace(small_config, evaluate_every=2))
    trainer.train()
    events = read_log(trainer.run)
    assert [event["iteration"] for event in events if event["kind"] == "val_unseen"] == [2, 4, 6]
    assert {"TL", "NE", "OSR", "SR", "SPL", "nDTW", "sDTW"} <= events[0].keys()
    with (trainer.run / METRICS).open("a") as file:
        file.write('{"kind": "train", "iter')
    log = RunLog(trainer.run, 4)
    log.write("val_unseen", 5, {"SPL": 0.5})
    assert [event["iteration"] for event in read_log(trainer.run)] == [2, 4, 5]


def test_state_of_another_follower_is_refused(small_config, tmp_path):
    make_trainer(small_config).train()
    follower = dataclasses.replace(small_config.follower, hidden_size=64)
    config = dataclasses.replace(small_config, follower=follower, resume=small_config.output)
    with pytest.raises(ValueError, match=rf"{MODEL}: .* hidden size 32, but here it is 64; use"):
        make_trainer(config)


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


def test_a_diverged_run_ends_with_a_message(small_config):
    trainer = make_trainer(small_config)
    backward = trainer.learner.backward
    trainer.learner.backward = lambda iteration: {
        **backward(iteration),
        "loss": float("nan") if iteration == 3 else 1.0,
    }
    with pytest.raises(DivergedError, match="iteration 3 has loss nan"):
        trainer.train()
    assert load_trainer(trainer.run)["iteration"] == 3


def test_weights_that_are_not_finite_are_not_saved(small_config):
    trainer = make_trainer(small_config)
    trainer.save()
    before = weights_of(trainer.run)
    with torch.no_grad():
        trainer.learner.follower.decoder.words.mix.weight.fill_(torch.nan)
    with pytest.raises(DivergedError, match="the weights are not finite either"):
        trainer.step()
    assert_equal_weights(weights_of(trainer.run), before)


def test_minutes_end_a_run_instead_of_iterations(small_config):
    trainer = make_trainer(dataclasses.replace(small_config, minutes=1.0, iterations=1))
    trainer.step()
    trainer.seconds = 30.0
    assert trainer.progress == 0.5
    trainer.seconds = 61.0
    assert trainer.progress == 1.0


@pytest.mark.parametrize(
    ("device", "problem"), [("gpu", "does not know"), ("cuda:1", "detects 1 CUDA")]
)
def test_a_missing_device_is_named(small_config, monkeypatch, device, problem):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=rf"--device {device}: torch .*{problem}.*cpu"):
        make_trainer(dataclasses.replace(small_config, device=device))
    assert not small_config.output.exists()
