def test_the_cpu_time_of_a_panorama_is_reported(figures_of):
    figures = figures_of("panoramas")
    assert figures["1024 x 512"]["unit"] == "CPU seconds"
    assert figures["1024 x 512"]["value"] > 0
    assert "2048 x 1024" not in figures
