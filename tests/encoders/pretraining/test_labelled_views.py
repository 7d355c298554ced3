import numpy as np
import pytest
import torch

from clipnav.encoders.pretraining.command import LabelledViews
from clipnav.encoders.pretraining.view_sampler import SamplerConfig, ViewSampler
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.models.scene import ObjectInfo


@pytest.fixture(scope="module")
def sampler() -> ViewSampler:
    """Sampler of views of a house whose panoramas are noise, so that no two views are equal."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2, (3, 64, 128)).astype(np.int16)
    rgb = rng.integers(0, 256, (3, 64, 128, 3)).astype(np.uint8)
    things = tuple(
        ObjectInfo(k, name, "red", "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        for k, name in enumerate(["wall", "sofa"])
    )
    depth = np.ones(ids.shape, np.float16)
    house = HousePictures("house_00", rgb, ids, depth, 1, things, ("bedroom",))
    return ViewSampler([house], 16, seed=3, config=SamplerConfig(views=8))


def test_later_passes_mirror_and_tint_views(sampler):
    views = LabelledViews(sampler, 1)
    first = views.views(0)[0]
    again = views.views(1)[0]
    assert torch.equal(again, LabelledViews(sampler, 1).views(1)[0])  # so runs can be resumed
    assert not torch.equal(again, views.views(2)[0])
    mirrored = 0
    for before, after in zip(first, again, strict=True):
        same, flipped = (
            np.corrcoef(before.flatten(), image.flatten())[0, 1]
            for image in (after, after.flip(-1))
        )
        # Clipping at 0 and 1 makes the correlation less than 1.
        assert max(same, flipped) > 0.95
        assert min(same, flipped) < 0.6
        mirrored += flipped > same
    assert 0 < mirrored < len(first)
