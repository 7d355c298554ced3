"""Training of continuous agents in a world of two little buildings."""

import json
import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from clipnav.agents.continuous import tasks
from clipnav.agents.continuous.training import continuous_trainer, train_continuous
from clipnav.agents.continuous.walking import ForwardWalker, RandomWalker, spread, walk_all
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from clipnav.training.checkpoints import RESULTS
from clipnav.training.interruption import Stopped

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
