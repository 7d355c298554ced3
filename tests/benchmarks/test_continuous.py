def test_floors_experts_and_environments_are_measured(figures_of):
    figures = figures_of("continuous", "--batch-sizes", "1", "8")
    for size in (1, 8):
        for sliding in ("with", "without"):
            assert figures[f"movement {sliding} sliding, batch {size}"]["value"] > 0
        assert figures[f"known goals, batch {size}"]["value"] > 0
        assert figures[f"environment without pictures, batch {size}"]["value"] > 0
    assert figures["new goals"]["value"] > 0
    assert figures["expert"]["value"] > 0
    assert figures["floor of a house"]["value"] > 0
