import pytest
import torch

from clipnav.agents.layers.visual import VisualNoise

SCANS = torch.tensor([0, 1, 0, 2] * 16)


def dropped(noise, views):
    """Return views after gate and drop."""
    gate = noise.gate(views)
    views = noise.drop_(views)
    return views if gate is None else views * gate.unsqueeze(1)


@pytest.mark.parametrize("kind", ["environment", "batch", "episode", "step", "element"])
def test_masks_drop_visual_features_at_the_rate_and_keep_angles(kind):
    torch.manual_seed(0)
    noise = VisualNoise(0.5, kind, 120, 130, SCANS)
    views = dropped(noise, torch.ones(64, 36, 130))
    assert (views[..., 120:] == 1).all()
    assert set(views[..., :120].unique().tolist()) == {0.0, 2.0}
    assert (views[..., :120] == 0).float().mean() == pytest.approx(0.5, abs=0.1)
    assert bool((views == views[:, :1]).all()) == (kind != "element")
    again = dropped(noise, torch.ones(64, 36, 130))
    assert torch.equal(views, again) == (kind in ("environment", "batch", "episode"))


def test_scope_of_masks():
    views = torch.ones(64, 1, 50)
    for kind, masks in (("environment", 3), ("batch", 1), ("episode", 64), ("step", 64)):
        rows = dropped(VisualNoise(0.5, kind, 40, 50, SCANS), views).flatten(1)
        assert len(rows.unique(dim=0)) == masks, kind
    rows = dropped(VisualNoise(0.5, "environment", 40, 50, SCANS), views).flatten(1)
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])


def test_masks_follow_the_live_episodes():
    noise = VisualNoise(0.5, "environment", 40, 50, SCANS)
    views = torch.ones(64, 1, 50)
    gate = noise.gate(views)
    fewer = noise.rows(torch.tensor([5, 9]))
    assert torch.equal(fewer.gate(views[:2]), gate[[5, 9]])
    assert torch.equal(noise.gate(views), gate)
