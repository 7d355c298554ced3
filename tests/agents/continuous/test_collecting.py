"""Demonstrations: walks of the expert and of DAgger, their files, and resuming."""

import numpy as np
import pytest
import torch

from clipnav.agents.continuous.collecting import Collector, DemonstrationStore, collect_walks
from clipnav.agents.continuous.networks import make_network
from clipnav.envs.continuous.settings import STOP


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
