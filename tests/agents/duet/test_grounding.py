"""Training of map agents that point out objects."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import walk
from clipnav.agents.duet.learner import MapLearner
from clipnav.agents.experiments.training import train
from clipnav.envs.navigation.drawn_paths import DrawnPaths
from clipnav.envs.navigation.references import ReferencePaths
from clipnav.training.optimiser_settings import OptimiserConfig


@pytest.fixture
def vase_config(map_config, vases):
    return dataclasses.replace(map_config, dataset="reverie", drawn_paths="ends", batch_size=12)


def test_answers_are_scored_and_submitted(vase_config, run_command, tmp_path):
    config = dataclasses.replace(vase_config, iterations=2, stops_at_best=False)
    results = train(config)
    scores = results["val_unseen"]["map agent"]
    assert 0 <= scores["RGSPL"] <= scores["RGS"] < 1
    walks = tmp_path / "walks.json"
    run_command("evaluate-agent", config.output, "--splits", "val_unseen", "--submission", walks)
    records = json.loads(walks.read_text())
    named = [str(record["predObjId"]) == record["instr_id"].split("_")[1] for record in records]
    assert np.mean(named) == pytest.approx(scores["RGS"])
    assert any(record["predObjId"] is not None for record in records)


def test_steps_and_whole_decisions_point_out_the_same_objects(vase_config):
    torch.manual_seed(0)
    # An untrained network does not tell places apart, and would stop at the first one.
    learner = MapLearner(dataclasses.replace(vase_config, stops_at_best=False))
    learner.network.eval()
    learner.model.local_head.outer.weight.data *= 100.0
    env, agent = learner.evaluation_envs["val_unseen"], learner.agent("val_unseen")
    ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        agent.walk(env, ids)
        together = env.answers()
        walk(env, agent, ids)
    assert env.answers()[: len(ids)] == together[: len(ids)]
    assert len({answer for answer in together if answer is not None}) > 2


def test_training_reads_the_first_objects_only(vase_config):
    few = MapLearner(dataclasses.replace(vase_config, max_objects=2))
    assert few.features.objects.counts.max() == 2
    assert few.agent("val_unseen").features.objects.counts.max() == 6


def test_each_end_of_a_goal_is_drawn_equally_often(vase_config):
    learner = MapLearner(vase_config)
    world, episodes = learner.env.nav_world, learner.env.episodes
    references = ReferencePaths.of(world, episodes)
    paths = DrawnPaths(world, episodes, references)
    rng, ends = np.random.default_rng(0), []
    for _ in range(300):
        drawn = paths.draw(rng)
        last = drawn.nodes[np.arange(len(episodes)), drawn.sizes - 1]
        np.testing.assert_array_equal(drawn.goals[:, 0], last)
        np.testing.assert_array_equal(drawn.starts, references.starts)
        lengths = world.distance(drawn.nodes[:, :-1], drawn.nodes[:, 1:]).sum(1)
        np.testing.assert_allclose(lengths, world.distance(drawn.starts, last))
        np.testing.assert_allclose(drawn.lengths, lengths)
        ends.append(last)
    for episode, column in zip(episodes, np.array(ends).T, strict=True):
        names, counts = np.unique(column, return_counts=True)
        assert {world.viewpoint_ids[node] for node in names} == set(episode.goal.viewpoints)
        assert counts.min() > 100


def test_grounding_is_learnt(vase_config):
    # Only the door of a path shows the colours of its vases, so that the other end of a goal is
    # not drawn. The network first learns which vases have a colour, then which colour is named.
    config = dataclasses.replace(
        vase_config,
        drawn_paths="none",
        batch_size=24,
        iterations=240,
        cloning_iterations=240,
        evaluation_splits=("val_seen",),
        select_by="val_seen",
        optimiser=OptimiserConfig(name="adam", learning_rate=2e-3, clip="norm", clip_at=1.0),
    )
    scores = train(config)["val_seen"]["map agent"]
    assert scores["RGS"] > 0.6  # 1/3 with any vase of the right door
