def test_known_maps_equal_the_baseline_and_report_all_figures(figures_of):
    figures = figures_of("known_maps")
    for name in ("baseline", "KnownMaps", "KnownMaps / baseline", "KnownMaps with the spl expert"):
        assert figures[name]["value"] > 0
