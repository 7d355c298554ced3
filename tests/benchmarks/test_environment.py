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
    assert figures["loading 2 graphs from the cache"]["value"] > 0
    assert figures["peak memory"]["value"] > 10


def test_the_built_in_houses_are_measured_by_default(figures_of):
    figures = figures_of("environment", "--batch-sizes", "64")
    assert figures["loading 40 graphs without a cache"]["bar"] == 3.0
    assert figures["loading 40 graphs from the cache"]["bar"] == 0.3
    assert figures["features, batch 64, copied"]["bar"] == 50_000
    assert figures["indices, batch 64, reused"]["bar"] == 400_000
