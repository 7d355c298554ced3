"""Training of continuous agents in a world of two little buildings."""

import json
from dataclasses import replace

import numpy as np
import pytest

from agents.continuous.training import continuous_trainer, train_continuous
from agents.continuous.walking import ForwardWalker, RandomWalker, spread, walk_all
from envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from training.checkpoints import RESULTS
from training.log import read_log

pytestmark = pytest.mark.usefixtures("box_world")


def test_a_run_reports_the_agent_and_the_baselines(tiny_config, capsys):
    results = train_continuous(tiny_config)
    agents = results["val_seen"]
    assert set(agents) == {"cma", "random", "forward", "expert"}
    assert agents["expert"]["SR"] == 1.0
    assert agents["expert"]["nDTW"] == pytest.approx(1.0)
    assert all(summary["episodes"] == 4 for summary in agents.values())
    report = json.loads((tiny_config.output / RESULTS).read_text())
    assert report["results"] == json.loads(json.dumps(results))
    assert "expert" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["seq2seq", "cma"])
def test_an_agent_learns_two_walks(tiny_config, kind):
    network = replace(tiny_config.network, kind=kind, progress_monitor=True, state_size=32)
    config = replace(tiny_config, network=network, iterations=100, evaluate_every=100, batch_size=4)
    trainer, learner = continuous_trainer(config)
    first = learner.evaluate()["val_seen"]
    trainer.train()
    trainer.close()
    learner.network.eval()
    last = learner.evaluate()["val_seen"]
    losses = [event["imitation"] for event in read_log(trainer.run) if event["kind"] == "train"]
    assert losses[-1] < 0.75 * losses[0]
    assert last["nDTW"] > first["nDTW"] + 0.2


def test_a_resumed_dagger_run_is_bit_identical(tiny_config, check_same_run, tmp_path):
    config = replace(tiny_config, rounds=2, iterations=6, evaluate_every=3)
    whole, _ = continuous_trainer(config)
    whole.train()
    whole.close()
    other = replace(config, output=tmp_path / "other")
    begun, _ = continuous_trainer(other)
    for _ in range(3):
        begun._iterate()
    begun.evaluate()
    begun.save()
    begun.close()
    resumed, _ = continuous_trainer(replace(other, resume=tmp_path / "other"))
    resumed.train()
    resumed.close()
    check_same_run(whole, resumed)


def test_blind_and_deaf_agents_depend_on_nothing_else(tiny_config, tmp_path):
    config = replace(tiny_config, vision=False, reads_instructions=False, output=tmp_path / "blind")
    trainer, learner = continuous_trainer(config)
    trainer.train()
    trainer.close()
    assert learner.settings.observe == ()
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


def test_walks_do_not_depend_on_the_batch(make_env):
    walker = ForwardWalker(0, 24)
    results = walk_all(make_env(num_envs=3, observe=()), walker, [0, 1, 2, 3])
    assert len(results) == 4
    assert all(0 < result["path_length"] <= 37 * 0.25 + 1e-6 for result in results)


def test_episodes_are_spread_over_a_split():
    assert spread(10, None) == list(range(10))
    assert spread(10, 20) == list(range(10))
    assert spread(10, 4) == [0, 3, 6, 9]
