import numpy as np
import pytest

from clipnav.encoders.pretraining.view_sampler import (
    SamplerConfig,
    ViewSampler,
    extraction_views,
    sample_pixels,
    truth,
    view_directions,
)
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.houses.views.view_facts import ViewFacts
from clipnav.envs.models.scene import ObjectInfo
from clipnav.envs.panoramas import views36, views36_nearest

WALL, SOFA, BED = range(3)
COLOURS = np.array([[200, 200, 200], [220, 30, 30], [40, 60, 210]], np.uint8)


def thing(index: int, category: str, colour: str) -> ObjectInfo:
    return ObjectInfo(index, category, colour, "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def house() -> HousePictures:
    """Two panoramas with a red sofa at heading 0 and a blue bed in the south-east."""
    ids = np.full((128, 256), WALL, np.int16)
    ids[60:80, 120:136] = SOFA
    ids[60:80, 215:231] = BED
    return HousePictures(
        scan="house_00",
        rgb=np.stack([COLOURS[ids]] * 2),
        object_id=np.stack([ids] * 2),
        depth=np.full((2, 128, 256), 1.5, np.float16),
        viewpoints=1,
        objects=(thing(0, "wall", "grey"), thing(1, "sofa", "red"), thing(2, "bed", "blue")),
        room_kinds=("bedroom",),
    )


def test_extraction_views_equal_views36():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 16, 3)).astype(np.uint8)
    panorama = coarse.repeat(16, axis=0).repeat(16, axis=1)
    ids = rng.integers(0, 3, (128, 256)).astype(np.int16)
    house = HousePictures("h", panorama[None], ids[None], ids[None] * 1.0, 1, (), ())
    view = np.arange(36)
    directions = view_directions(
        view % 12 * np.pi / 6, (view // 12 - 1) * np.pi / 6, np.full(36, np.pi / 3), 32
    )
    views = (sample_pixels(house.rgb[0], directions).permute(0, 2, 3, 1) * 255).round().numpy()
    expected = views36(panorama, 32).astype(float)
    differs = np.abs(views - expected).max(-1) > 1
    seam = np.abs(np.abs(directions[..., 0]) - np.pi) < np.pi / 256  # half pixels are repeated
    assert differs[seam].any()
    assert not differs[~seam].any()
    # Object ids are read in the geometry of the views.
    column = ((directions[..., 0] + np.pi) / (2 * np.pi) * 256).astype(int) % 256
    row = ((np.pi / 2 - directions[..., 1]) / np.pi * 128).astype(int)
    agreement = (ids[row, column] == views36_nearest(ids, 32)).mean()
    assert agreement > 0.999


def test_facts_of_extraction_views(house: HousePictures):
    [(views, facts)] = list(extraction_views(house, 32))
    assert views.shape == (36, 32, 32, 3)
    assert views.dtype == np.uint8
    sofa = [view for view in range(36) if ("thing", "sofa", "red") in facts[view].holds]
    bed = [view for view in range(36) if ("thing", "bed", "blue") in facts[view].holds]
    assert {12, 11 + 12, 1 + 12} <= set(sofa)  # level; headings 0, 330 and 30 degrees
    assert 16 in bed  # level, heading 120 degrees
    assert ("side", "sofa", "left") in facts[13].holds
    assert ("side", "sofa", "right") in facts[23].holds


def test_a_batch_depends_on_seed_and_index_only(house: HousePictures):
    config = SamplerConfig(views=16)
    first = ViewSampler([house], 32, seed=3, config=config).batch(5)
    again = ViewSampler([house], 32, seed=3, config=config).batch(5)
    other = ViewSampler([house], 32, seed=3, config=config).batch(6)
    assert first.texts == again.texts
    assert (first.images == again.images).all()
    assert first.images.shape == (16, 3, 32, 32)
    assert not (first.images == other.images).all()
    assert (first.images >= 0).all()
    assert (first.images <= 1).all()


def test_captions_of_a_batch_agree_with_its_pixels(house: HousePictures):
    """Mirroring, cropping and tinting keep captions true: a red sofa "on the left" is there."""
    config = SamplerConfig(views=64, captions_per_view=4, recoloured=0.0)
    sampler = ViewSampler([house], 48, seed=0, config=config)
    checked = 0
    for batch in (sampler.batch(n) for n in range(6)):
        assert not (batch.true & batch.false).any()
        red = (batch.images[:, 0] > 2 * batch.images[:, 2]) & (
            batch.images[:, 0] > 2 * batch.images[:, 1]
        )
        for column, text in enumerate(batch.texts):
            if "left" not in text or not ("sofa" in text or "couch" in text):
                continue
            for row in batch.true[:, column].nonzero().flatten().tolist():
                where = red[row].nonzero()[:, 1].float()
                assert where.numel() > 0
                assert where.mean() < 24
                checked += 1
    assert checked > 5


def test_captions_of_recoloured_views_mention_no_colour(house: HousePictures):
    sampler = ViewSampler([house], 32, config=SamplerConfig(views=64, recoloured=1.0))
    batch = sampler.batch(0)
    assert batch.true.any()
    assert not any(colour in text for text in batch.texts for colour in ("red", "blue"))


def test_truth_has_three_values():
    sofa, red, bed = ("thing", "sofa"), ("thing", "sofa", "red"), ("thing", "bed")
    clear = ViewFacts(frozenset({sofa, red}), frozenset({sofa, red}))
    doubtful = ViewFacts(frozenset({sofa}), frozenset({sofa, red, bed}))
    nothing = ViewFacts(frozenset(), frozenset())
    true, false = truth([clear, doubtful, nothing], [(sofa,), (red,), (sofa, bed), ()])
    assert true.tolist() == [
        [True, True, False, True],
        [True, False, False, True],
        [False, False, False, True],
    ]
    assert false.tolist() == [
        [False, False, True, False],
        [False, False, False, False],
        [True, True, True, False],
    ]


def test_the_largest_object_of_a_view_is_a_clear_one(house: HousePictures):
    for panorama in range(house.viewpoints):
        views = extraction_views(house, 64)
        _, facts = next(views)
        for view in facts:
            shown = {fact[1] for fact in view.holds if fact[0] == "thing"}
            assert (view.largest in shown) if shown else (view.largest == "")
            assert view.without_colours().largest == view.largest
        assert {view.largest for view in facts} == {"", "sofa", "bed"}
        assert panorama == 0
