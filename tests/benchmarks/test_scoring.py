def test_scoring_reports_all_figures_on_the_built_in_graphs(figures_of):
    figures = figures_of("scoring")
    for size in ("R2R size (60)", "RxR size (60)"):
        for name in ("baseline", "score_path", "score_paths", "memory of score_paths"):
            assert figures[f"{size}: {name}"]["value"] > 0
