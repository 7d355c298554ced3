import runpy

import torch

from tests.conftest import ROOT


def test_an_episode_mask_drops_the_same_visual_features_in_all_views():
    decoder = runpy.run_path(str(ROOT / "benchmarks" / "plain_envdrop.py"))["Decoder"](50, 4, 8)
    views = torch.ones(2, 36, 54)
    decoder.mask = decoder.drop_features(torch.ones(2, 1, 50))
    decoder.drop_visual(views)
    assert torch.equal(views[:, :, :50], decoder.mask.expand(2, 36, 50))
    assert views[:, :, 50:].eq(1).all()
    decoder.mask, other = None, torch.ones(2, 36, 54)
    decoder.drop_visual(other)
    assert not torch.equal(other[:, 0], other[:, 1])


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
