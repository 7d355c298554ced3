"""Training of continuous agents in a world of two little buildings."""

import json
import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from clipnav.agents.continuous import tasks
from clipnav.agents.continuous.collecting import (
    Collector,
    Demonstration,
    DemonstrationStore,
    collect_walks,
)
from clipnav.agents.continuous.evaluation import evaluate_continuous_run
from clipnav.agents.continuous.networks import Output, make_network
from clipnav.agents.continuous.settings import EvaluateContinuousConfig
from clipnav.agents.continuous.tasks import load_continuous_run
from clipnav.agents.continuous.training import (
    continuous_trainer,
    imitation_loss,
    make_batch,
    progress_loss,
    train_continuous,
)
from clipnav.agents.continuous.walking import ForwardWalker, RandomWalker, spread, walk_all
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.files.submissions import check_continuous_submission
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from clipnav.training.checkpoints import RESULTS
from clipnav.training.interruption import Stopped


@pytest.fixture
def network(tiny_network, split_of_boxes, corner_features):
    torch.manual_seed(0)
    return make_network(tiny_network, len(split_of_boxes.tokenizer), corner_features.grid, 4)


def test_walks_of_the_expert_reach_the_goal(make_env, corner_features):
    env = make_env()
    walks = collect_walks(env, corner_features, None, range(4), 1.0, 0)
    assert [walk.episode for walk in walks] == [0, 1, 2, 3]
    assert all(measures["success"] for measures in env.metrics())
    for walk, trace in zip(walks, env.traces(), strict=True):
        assert walk.labels[-1] == STOP
        assert STOP not in walk.labels[:-1]
        assert walk.previous.tolist() == [0, *(walk.labels[:-1] + 1)]
        assert walk.progress[0] == 0.0
        assert 0.8 < walk.progress[-1] <= 1.0
        # The first pixel of a picture encodes x: see BoxSimulator.
        x = trace.positions[: len(walk), 0]
        np.testing.assert_allclose(walk.rgb[:, 0, 1], np.rint(10 * x) / 255, atol=1e-3)
        assert len(walk) == len(walk.rgb) == len(walk.depth)


def test_dagger_labels_the_walks_of_the_policy(make_env, corner_features, network):
    walks = collect_walks(make_env(), corner_features, network, range(4), 0.0, 3)
    again = collect_walks(make_env(), corner_features, network, range(4), 0.0, 3)
    expert = collect_walks(make_env(), corner_features, None, range(4), 1.0, 0)
    for walk, same, best in zip(walks, again, expert, strict=True):
        np.testing.assert_array_equal(walk.labels, same.labels)
        assert walk.labels[0] == best.labels[0]
        assert walk.previous[0] == 0
        assert len(walk) <= 80
    taken = np.concatenate([walk.previous[1:] for walk in walks]) - 1
    labels = np.concatenate([walk.labels[:-1] for walk in walks])
    assert 0.05 < np.mean(taken == labels) < 0.9  # an untrained policy is not the expert
    assert set(taken) <= {1, 2, 3}  # a stop ends a walk


def test_a_store_returns_what_was_written(make_env, corner_features, tmp_path):
    walks = collect_walks(make_env(), corner_features, None, [2, 0], 1.0, 0)
    store = DemonstrationStore(tmp_path / "store", {"a": "1"})
    assert not store.has("part")
    store.write("part", walks)
    for opened in (store, DemonstrationStore(tmp_path / "store", {"a": "1"})):
        assert opened.has("part")
        assert opened.episodes("part").tolist() == [2, 0]
        for row, walk in enumerate(walks):
            read = opened.read("part", row)
            for name in ("rgb", "depth", "previous", "labels", "progress"):
                np.testing.assert_array_equal(getattr(read, name), getattr(walk, name))
    other = DemonstrationStore(tmp_path / "store", {"a": "2"})
    with pytest.raises(ValueError, match=r"part\.safetensors: demonstrations of other settings"):
        other.has("part")


def test_a_full_disk_is_reported_after_the_first_part(make_collector, network, monkeypatch):
    class Usage:
        free = 10

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(OSError, match=r"shared: the missing demonstrations require about 0\.0 GB"):
        make_collector().collect(0, network)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "part.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"part\.safetensors: damaged"):
        DemonstrationStore(tmp_path, {}).has("part")


@pytest.fixture
def make_collector(make_env, corner_features, tiny_config, tmp_path):
    def build(**changes):
        from dataclasses import replace

        config = replace(tiny_config, rounds=2, **changes)
        env = make_env(config.collect_batch_size)
        collector = Collector(config, env, corner_features, tmp_path / "shared", {"a": "1"})
        collector.start(tmp_path / "run")
        return collector

    return build


def test_rounds_add_up(make_collector, network):
    collector = make_collector()
    collector.collect(0, network)
    rng = np.random.default_rng(0)
    assert sorted(walk.episode for walk in collector.draw(rng, 10)) == [0, 1, 2, 3]
    collector.collect(1, network)
    assert sorted(walk.episode for walk in collector.draw(rng, 10)) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(collector.draw(rng, 3)) == 3


def test_demonstrations_of_a_batch_have_similar_lengths(make_collector, network):
    collector = make_collector()
    collector.collect(1, network)
    together, alone, drawn = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        batch = collector.draw(rng, 2)
        drawn += [(walk.episode, len(walk)) for walk in batch]
        together.append(abs(len(batch[0]) - len(batch[1])))
        alone.append(abs(len(collector.draw(rng, 1)[0]) - len(collector.draw(rng, 1)[0])))
    assert np.mean(together) < 0.6 * np.mean(alone)
    # All demonstrations remain equally likely: 50 times each of 400 draws.
    walks = {(walk.episode, len(walk)) for walk in collector.draw(rng, 8)}
    assert len(walks) == 8
    assert all(30 < drawn.count(walk) < 75 for walk in walks)


def test_an_interrupted_collection_continues(make_collector, network, monkeypatch, tmp_path):
    whole = make_collector()
    whole.collect(1, network)
    files = sorted(tmp_path.rglob("*.safetensors"))
    contents = {path: path.read_bytes() for path in files}
    assert len(files) == 4  # two parts of three and one episode for each round
    files[1].unlink()
    calls = []
    write = DemonstrationStore.write
    monkeypatch.setattr(
        DemonstrationStore, "write", lambda *args: (calls.append(args[1]), write(*args))
    )
    make_collector().collect(1, network)
    assert len(calls) == 1
    assert {path: path.read_bytes() for path in files} == contents


def walk(labels, progress):
    count = len(labels)
    return Demonstration(
        0,
        np.ones((count, 2, 3), np.float16),
        np.ones((count, 4, 4), np.float16),
        np.zeros(count, np.int8),
        np.array(labels, np.int8),
        np.array(progress, np.float32),
    )


@pytest.fixture
def batch():
    walks = [walk([1, 1, 2, 0], [0.0, 0.2, 0.5, 1.0]), walk([3, 0], [0.0, 0.4])]
    return make_batch(walks, np.ones((2, 5), np.int32), 3.2, "cpu")


def test_weights_of_inflections(batch):
    np.testing.assert_allclose(batch.weights, [[3.2, 1.0, 3.2, 3.2], [3.2, 3.2, 0.0, 0.0]])
    assert batch.labels.tolist() == [[1, 1, 2, 0], [3, 0, -100, -100]]
    assert batch.steps.rgb.shape == (2, 4, 2, 3)


def test_each_walk_has_the_same_weight(batch):
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 4)
    log_probs = logits.log_softmax(-1).numpy()
    expected = []
    for row, labels in enumerate(([1, 1, 2, 0], [3, 0])):
        weights = batch.weights[row, : len(labels)].numpy()
        losses = [-log_probs[row, k, label] for k, label in enumerate(labels)]
        expected.append((weights * losses).sum() / weights.sum())
    loss = imitation_loss(Output(logits, None, logits), batch)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-6)


def test_progress_of_padding_does_not_count(batch):
    progress = torch.full((2, 4), 0.1)
    expected = np.mean([(0.1 - value) ** 2 for value in (0.0, 0.2, 0.5, 1.0, 0.0, 0.4)])
    loss = progress_loss(Output(torch.zeros(2, 4, 4), progress, progress), batch)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


pytestmark = pytest.mark.usefixtures("box_world")


def test_a_run_reports_the_agent_and_the_baselines(tiny_config, capsys):
    results = train_continuous(replace(tiny_config, iterations=2))
    agents = results["val_seen"]
    assert set(agents) == {"cma", "random", "forward", "expert"}
    assert agents["expert"]["SR"] == 1.0
    assert agents["expert"]["nDTW"] == pytest.approx(1.0)
    assert all(summary["episodes"] == 4 for summary in agents.values())
    report = json.loads((tiny_config.output / RESULTS).read_text())
    assert report["results"] == json.loads(json.dumps(results))
    assert "expert" in capsys.readouterr().out


def test_an_evaluation_split_without_goals_is_refused_at_once(
    tiny_config, split_of_boxes, monkeypatch
):
    hidden = [replace(episode, reference_path=()) for episode in split_of_boxes.episodes]

    def load(dataset, split="train", world="houses", tokenizer=None):
        return replace(split_of_boxes, episodes=hidden) if split == "test" else split_of_boxes

    monkeypatch.setattr(tasks, "load_continuous_split", load)
    config = replace(tiny_config, evaluation_splits=("val_seen", "test"))
    with pytest.raises(ValueError, match="--evaluation-splits test: its goals are not published"):
        continuous_trainer(config)


def test_an_agent_learns_four_walks(tiny_config):
    network = replace(tiny_config.network, kind="seq2seq", progress_monitor=True, state_size=32)
    trainer, _ = continuous_trainer(replace(tiny_config, network=network, batch_size=4))
    figures = [trainer.step() for _ in range(50)]
    trainer.close()
    for name in ("imitation", "progress"):
        losses = [step[name] for step in figures]
        assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5]), name


def test_sigterm_stops_within_a_step_and_keeps_what_is_collected(
    tiny_config, check_same_run, monkeypatch, tmp_path, capsys
):
    steps = 90  # in the second part of the demonstrations
    config = replace(tiny_config, iterations=4, collect_batch_size=2)
    whole, _ = continuous_trainer(config)
    whole.train()
    whole.close()
    capsys.readouterr()
    step, taken = ContinuousVectorEnv.step, []

    def interrupted(env, actions):
        taken.append(len(actions))
        if len(taken) == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(env, actions)

    monkeypatch.setattr(ContinuousVectorEnv, "step", interrupted)
    other = replace(config, output=tmp_path / "other", demonstrations=tmp_path / "others")
    stopped, _ = continuous_trainer(other)
    with pytest.raises(Stopped, match="Stopped after 0 iteration"):
        stopped.train()
    assert len(taken) == steps
    assert sorted(path.stem for path in (tmp_path / "others").glob("*.safetensors")) == [
        "expert-2-00000-2"
    ]
    assert "4 walks are collected before the next iteration" in capsys.readouterr().err
    resumed, _ = continuous_trainer(replace(other, resume=tmp_path / "other"))
    resumed.train()
    resumed.close()
    check_same_run(whole, resumed)


@pytest.mark.parametrize("changes", [{}, {"expert_probability": 0.1}])
def test_walks_of_a_killed_run_serve_the_same_settings_only(tiny_config, changes):
    config = replace(tiny_config, rounds=2, iterations=3, evaluate_every=3)
    killed, _ = continuous_trainer(config)
    killed._iterate()
    killed._iterate()
    killed.close()
    walks = sorted((tiny_config.output / "demonstrations").glob("round-01*.safetensors"))
    assert len(walks) == 2
    again, _ = continuous_trainer(replace(config, threads=None, **changes))
    again.close()
    assert [walk.is_file() for walk in walks] == 2 * [not changes]


def test_blind_and_deaf_agents_depend_on_nothing_else(tiny_config, tmp_path):
    blind = {"vision": False, "instruction_ablation": "empty", "iterations": 2}
    config = replace(tiny_config, **blind, output=tmp_path / "blind")
    trainer, learner = continuous_trainer(config)
    trainer.train()
    trainer.close()
    assert learner.task.settings.observe == ()
    (walk, *_) = learner.collector.draw(np.random.default_rng(0), 1)
    assert not walk.rgb.any()
    assert not walk.depth.any()


def test_baselines_walk_as_published(make_env):
    env = make_env(observe=())
    walker = ForwardWalker(0, 24)
    observation, info = env.reset(seed=0)
    walker.start(observation, info)
    actions = np.array([walker.act(observation, info, np.arange(4)) for _ in range(50)])
    for agent in actions.T.tolist():
        forward = agent.index(FORWARD)
        assert set(agent[:forward]) <= {LEFT, RIGHT}
        assert agent[forward : forward + 38] == [FORWARD] * 37 + [STOP]
    rng = RandomWalker(0)
    draws = np.concatenate([rng.act(observation, info, np.arange(4)) for _ in range(1500)])
    np.testing.assert_allclose(np.bincount(draws) / len(draws), [0.02, 0.68, 0.15, 0.15], atol=0.02)


def test_walks_require_an_environment_without_autoreset(make_env):
    env = make_env(observe=())
    env.autoreset_mode = AutoresetMode.NEXT_STEP
    with pytest.raises(ValueError, match="make it with autoreset_mode='Disabled'"):
        walk_all(env, ForwardWalker(0, 24), [0])


def test_episodes_are_spread_over_a_split():
    assert spread(10, None) == list(range(10))
    assert spread(10, 20) == list(range(10))
    assert spread(10, 4) == [0, 3, 6, 9]


def test_the_command_trains_and_resumes(tiny_config, run_command, tmp_path):
    run = tmp_path / "command"
    sizes = "word-size 4 text-size 6 rgb-size 5 depth-size 4 depth-channels 3 state-size 16".split()
    network = [f"--network.{word}" if k % 2 == 0 else word for k, word in enumerate(sizes)]
    output = run_command(
        "train-continuous-agent",
        *(
            "--rounds",
            1,
            "--iterations",
            2,
            "--evaluate-every",
            2,
            "--depth-pixels",
            16,
            "--threads",
            1,
        ),
        *("--evaluation-splits", "val_seen", "--evaluation-batch-size", 4),
        *("--output", run, "--demonstrations", tiny_config.demonstrations, *network),
    )
    assert f"Run: {run}" in output
    assert re.search("^val_seen +expert ", output, re.MULTILINE)
    with pytest.raises(ValueError, match="batch_size: 5 against 3"):
        run_command("train-continuous-agent", "--resume", run, "--batch-size", 3)


@pytest.fixture
def trained(tiny_config):
    """Run of an iteration."""
    train_continuous(replace(tiny_config, iterations=1))
    return tiny_config.output


def test_an_evaluation_repeats_the_results_of_the_training_and_submits_the_walks(trained, tmp_path):
    scores, path = tmp_path / "scores.json", tmp_path / "predictions.json"
    # A batch of three: the last batch of four episodes is padded.
    config = EvaluateContinuousConfig(
        trained, ("val_seen",), baselines=False, batch_size=3, json=scores, submission=path
    )
    results = evaluate_continuous_run(config)
    trained_results = json.loads((trained / RESULTS).read_text())["results"]
    assert results == {"val_seen": {"cma": trained_results["val_seen"]["cma"]}}
    assert json.loads(scores.read_text()) == {"results": results}
    task, _ = load_continuous_run(trained)
    episodes = task.split("val_seen").episodes
    counted = frozenset(episode.instr_id for episode in episodes)
    checked = check_continuous_submission(path, "r2r-ce", episodes, counted)
    assert checked.usable == 4
    assert not [finding for finding in checked.findings if finding.fault]


def test_a_test_split_gives_a_submission_without_measures(
    trained, split_of_boxes, monkeypatch, tmp_path, capsys
):
    hidden = [replace(episode, reference_path=()) for episode in split_of_boxes.episodes]
    secret = replace(split_of_boxes, episodes=hidden)
    monkeypatch.setattr(tasks, "load_continuous_split", lambda *_, **__: secret)
    path, scores = tmp_path / "predictions.json", tmp_path / "scores.json"
    config = EvaluateContinuousConfig(trained, ("test",), submission=path, json=scores)
    assert evaluate_continuous_run(config) == {"test": {"cma": {}}}
    assert json.loads(scores.read_text()) == {"results": {"test": {"cma": {}}}}
    assert "4 walks" in capsys.readouterr().out
    assert len(json.loads(path.read_text())) == 4


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="name a run of clipnav train-continuous-agent"):
        load_continuous_run(tmp_path)
