def test_training_reports_all_figures_on_the_built_in_houses(figures_of):
    figures = figures_of("training")
    for work in ("iteration, batch 4", "decoder call of 4 in evaluation", "instructions evaluated"):
        for implementation in ("", ", baseline"):
            assert figures[work + implementation]["value"] > 0
    assert figures["iteration, batch 4"]["bar"] == 0.9
    assert figures["peak memory of training"]["bar"] == 1000
