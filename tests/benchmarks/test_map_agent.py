def test_map_agents_equal_the_baseline_and_report_all_figures(figures_of):
    figures = figures_of("map_agent", "--batch-size", "6")
    assert len(figures) == 5
    assert all(figure["value"] > 0 for figure in figures.values())
