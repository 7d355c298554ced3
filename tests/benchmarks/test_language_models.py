def test_the_cpu_time_of_a_decision_is_reported(figures_of):
    figures = figures_of("language_models")
    for pictures in ("candidates' pictures", "words only"):
        figure = figures[f"decision, {pictures}"]
        assert figure["unit"] == "CPU ms"
        assert figure["value"] > 0
    assert figures["decision, candidates' pictures"]["bar"] == 100.0
