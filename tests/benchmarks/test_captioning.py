def test_captioning_reports_rewards_and_decoding_with_their_baselines(figures_of):
    figures = figures_of("captioning")
    for name in ("pycocoevalcap", "clipnav", "clipnav relative to pycocoevalcap"):
        assert figures[f"reward of 60 captions: {name}"]["value"] > 0
    for name in (
        "recomputed prefixes",
        "cached keys and values",
        "cached relative to recomputed",
    ):
        assert figures[f"5 beams, 9 cells: {name}"]["value"] > 0
