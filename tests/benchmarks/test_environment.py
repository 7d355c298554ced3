import numpy as np

from clipnav.envs.navigation.making import make_vln_vector_env
from clipnav.envs.navigation.observations import FeatureObserver
from tests.benchmarks.loading import load


def test_the_baseline_observes_the_same_features(tiny_arguments):
    env = make_vln_vector_env(1, **tiny_arguments)
    world, plain = env.nav_world, load("plain_environment")["PlainEnvironment"](env, 0)
    observer = FeatureObserver(world, env.feature_store, env.angle_feature_size, 5)
    expected, seen, moves = observer.buffers(), plain.reset(5), 0
    for _ in range(40):
        places = plain.observations
        nodes = np.array([world.node(place["scan"], place["viewpoint"]) for place in places])
        observer.observe(nodes, np.array([place["viewIndex"] for place in places]), expected)
        np.testing.assert_array_equal(seen["panorama"], expected["panorama"])
        width = seen["candidates"].shape[1] - 1
        candidates = expected["candidates"][:, 1 : width + 1]
        np.testing.assert_allclose(seen["candidates"][:, :width], candidates, atol=1e-5)
        assert not seen["candidates"][:, width].any()
        before, goals = places, [episode.path[-1] for episode in plain.episodes]
        seen = plain.step()
        for agent, place in enumerate(before):
            reached = place["viewpoint"] == goals[agent]
            assert plain.ended[agent] <= reached, "agents stop at the goal"
            moves += plain.observations[agent]["viewpoint"] != place["viewpoint"]
        assert set(seen["rewards"]) <= {0.0, 1.0, 2.0}, "the teacher comes nearer, and stops there"
    assert moves > 40


def test_every_kind_of_observation_is_measured_in_a_small_world(tiny_world, figures_of):
    figures = figures_of("environment", "--data-dir", str(tiny_world), "--batch-sizes", "1", "8")
    for size in (1, 8):
        for kind in ("features", "directions only", "indices"):
            for memory in ("copied", "reused"):
                figure = figures[f"{kind}, batch {size}, {memory}"]
                assert figure["value"] > 0
                assert figure["unit"] == "environment steps per CPU second"
        assert figures[f"DeviceFeatures.gather, cpu, batch {size}"]["value"] > 0
        assert figures[f"features, batch {size}, reused: share of a copy's bandwidth"]["value"] > 0
        assert figures[f"creation with batch {size}"]["value"] > 0
        assert figures[f"features, batch {size}, baseline"]["value"] > 0
    multiple = "features, batch {}, copied: multiple of the baseline"
    assert [figures[multiple.format(size)]["bar"] for size in (1, 8)] == [1.5, 4.0]
    assert figures["loading 2 graphs from the cache"]["value"] > 0
    assert figures["peak memory"]["value"] > 10


def test_the_built_in_houses_are_measured_by_default(figures_of):
    figures = figures_of("environment", "--batch-sizes", "64")
    assert figures["loading 40 graphs without a cache"]["bar"] == 3.0
    assert figures["loading 40 graphs from the cache"]["bar"] == 0.3
    assert figures["features, batch 64, copied"]["bar"] == 50_000
    assert figures["indices, batch 64, reused"]["bar"] == 400_000
