"""Pre-training of map agents in the world of the doors."""

import dataclasses

import numpy as np
import pytest

from clipnav.agents.duet.learner import PathBatch
from clipnav.agents.duet.pretraining_learner import (
    NOT_MASKED,
    GeneratedPaths,
    MapPretrainingLearner,
    SplitPaths,
    mask_id,
    mask_words,
    pretrain,
)
from clipnav.agents.duet.settings import MapPretrainConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.envs.tokenizers import WordTokenizer
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore


@pytest.fixture
def pretrain_config(doors_run, map_config, tmp_path):
    """Settings of a small pre-training."""
    return MapPretrainConfig(
        **{**doors_run, "batch_size": 24, "max_episode_steps": 30},
        iterations=250,
        max_decisions=4,
        output=tmp_path / "pretrained",
        network=map_config.network,
        optimiser=map_config.optimiser,
        masked_words=0.5,
    )


@pytest.fixture
def few(pretrain_config):
    """Settings of a pre-training of a few iterations, with dropout."""
    network = dataclasses.replace(pretrain_config.network, dropout=0.1)
    optimiser = dataclasses.replace(pretrain_config.optimiser, schedule="constant")
    return dataclasses.replace(
        pretrain_config,
        iterations=8,
        batch_size=6,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        network=network,
        optimiser=optimiser,
    )


def trainer_of(config):
    prepare(config)
    return make_agent_trainer(MapPretrainingLearner, config)[0]


def test_pretraining_learns_the_world_and_fine_tuning_starts_from_it(
    pretrain_config, map_config, tmp_path
):
    results = pretrain(pretrain_config)
    assert results["val_unseen"]["SR"] > 0.75
    config = dataclasses.replace(
        map_config, iterations=2, start_from=tmp_path / "pretrained", evaluate_every=1
    )
    config = dataclasses.replace(
        config, optimiser=dataclasses.replace(config.optimiser, learning_rate=1e-6, warmup=0)
    )
    tuned = train(config)
    assert tuned["val_unseen"]["map agent"]["SR"] > 0.75
    _, agent = load_run(config.output, "val_unseen")
    assert agent.model.config == config.network


def test_each_iteration_has_one_task(few):
    prepare(few)
    learner = MapPretrainingLearner(dataclasses.replace(few, masked_words=1.0))
    tasks = [learner.backward(iteration).keys() - {"loss"} for iteration in range(12)]
    words, actions = {"masked_words", "correct_words"}, {"actions", "agreement"}
    assert words in tasks
    assert actions in tasks
    assert all(task in (words, actions) for task in tasks)


def test_masked_views_are_predicted_from_class_scores(few, tmp_path, monkeypatch):
    # The views at the end of a path follow from its instruction, those before it do not.
    monkeypatch.setattr(PathBatch, "drawn", lambda paths, rng: paths.last())
    store = open_store(few.features)
    path = tmp_path / "classes.safetensors"
    FeatureStore.write(path, 10.0 * store.views[:], store.keys, {"encoder": "classes"})
    config = dataclasses.replace(
        few, masked_words=0.0, actions=0.0, masked_views=1.0, class_scores=path
    )
    trainer = trainer_of(dataclasses.replace(config, iterations=60))
    losses = [trainer.step()["masked_views"] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_a_speaker_describes_sampled_paths_once(few, speaker_run):
    config = dataclasses.replace(few, speaker=speaker_run, paths=20, batch_size=4)
    prepare(config)
    learner = MapPretrainingLearner(config)
    source = GeneratedPaths(config, learner.env)
    first, other, again = (source.batch(iteration) for iteration in (0, 1, 0))
    assert first.tokens.shape == (4, config.max_instruction_length)
    assert (first.tokens[:, 0] > 0).all()
    np.testing.assert_array_equal(first.tokens, again.tokens)
    np.testing.assert_array_equal(first.episodes, again.episodes)
    assert not set(first.episodes) & set(other.episodes)
    assert {len(source.batch(i).tokens) for i in range(6)} == {4}
    for iteration in range(4):
        assert np.isfinite(learner.backward(iteration)["loss"])


@pytest.mark.parametrize("ablation", ["none", "empty"])
def test_empty_instructions_are_their_first_and_last_token(few, speaker_run, ablation):
    config = dataclasses.replace(
        few, speaker=speaker_run, paths=20, instruction_ablation=ablation, masked_words=0.0
    )
    prepare(config)
    learner = MapPretrainingLearner(config)
    ends = learner.env.tokenizer.encode("", 2)
    for source in (SplitPaths, GeneratedPaths):
        tokens = source(config, learner.env).batch(0).tokens
        is_empty = tokens.shape[1] == 2 and bool((tokens == ends).all())
        assert is_empty == (ablation == "empty"), source
    assert np.isfinite(learner.backward(0)["loss"])


def test_a_speaker_excludes_shuffled_instructions(few, speaker_run):
    config = dataclasses.replace(few, speaker=speaker_run, instruction_ablation="shuffled")
    prepare(config)
    with pytest.raises(ValueError, match="--instruction-ablation shuffled and --speaker exclude"):
        MapPretrainingLearner(config)


def test_masks_replace_a_share_of_the_words():
    tokenizer = WordTokenizer.build([f"word{n}" for n in range(200)] * 5, 1)
    rng = np.random.default_rng(0)
    tokens = np.zeros((400, 50), np.int64)
    tokens[:, :40] = rng.integers(4, len(tokenizer), (400, 40))
    masked, targets = mask_words(tokens, 0.15, tokenizer, rng)
    chosen = targets != NOT_MASKED
    assert chosen.any(1).all()
    assert not chosen[:, 40:].any()
    assert 0.14 < chosen[:, :40].mean() < 0.16
    np.testing.assert_array_equal(targets[chosen], tokens[chosen])
    np.testing.assert_array_equal(masked[~chosen], tokens[~chosen])
    kept = (masked == tokens)[chosen].mean()
    replaced = (masked == mask_id(tokenizer))[chosen].mean()
    assert 0.08 < kept < 0.13
    assert 0.77 < replaced < 0.83
