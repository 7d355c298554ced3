def test_captioning_reports_rewards_beside_pycocoevalcap_and_writing_beside_rereading(figures_of):
    figures = figures_of("captioning")
    for name in ("pycocoevalcap", "ours", "ours to pycocoevalcap"):
        assert figures[f"reward of 60 captions: {name}"]["value"] > 0
    for name in ("prefixes read again", "kept keys and values", "kept to read again"):
        assert figures[f"5 beams, 9 places: {name}"]["value"] > 0
