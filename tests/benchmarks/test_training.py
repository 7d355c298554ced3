def test_both_implementations_are_measured_with_both_settings(figures_of):
    figures = figures_of("training")
    settings = ("mask per element, no length buckets", "mask per episode, length buckets")
    works = [f"iteration, batch {size}, {setting}" for size in (4, 2) for setting in settings]
    works += ["decoder call of 4 in evaluation", "instructions evaluated"]
    for work in works:
        for implementation in ("", ", baseline"):
            assert figures[work + implementation]["value"] > 0
    assert figures[f"iteration, batch 4, {settings[1]}"]["bar"] == 0.9
    assert figures[f"iteration, batch 4, {settings[0]}"]["bar"] is None
    assert figures["peak memory of training"]["bar"] == 1000
