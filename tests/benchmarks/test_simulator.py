def test_the_simulator_reports_all_figures_on_the_built_in_graphs(figures_of):
    figures = figures_of("simulator")
    for angles in ("discretised", "continuous"):
        for size in (1, 64):
            for work in ("turning", "turning, all fields read", "moving, all fields read"):
                assert figures[f"{work}, {angles}, batch {size}"]["value"] > 0
    assert figures["turning, discretised, batch 64"]["bar"] == 150_000
    assert figures["first sweep over 36 views"]["value"] > 0
