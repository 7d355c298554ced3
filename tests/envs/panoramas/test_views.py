"""The 36 views: order, handedness, wrap-around, and the geometry of CLIP-ViL."""

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from clipnav.envs.panoramas.cameras import camera_turn, direction, perspective_camera
from clipnav.envs.panoramas.cube_maps import cube_strip, draw, rays
from clipnav.envs.panoramas.views import (
    centre_cropped,
    cut_views,
    rows_seen,
    view_direction,
    views36,
    views36_nearest,
)
from clipnav.storage.features.view_grid import NUM_VIEWS

HEIGHT = 512


def marked_panorama() -> np.ndarray:
    """Panorama whose red and green encode the heading (cosine, sine) and blue the elevation."""
    column = np.arange(2 * HEIGHT) + 0.5
    heading = 2 * np.pi * column / (2 * HEIGHT) - np.pi
    elevation = np.pi / 2 - np.pi * (np.arange(HEIGHT) + 0.5) / HEIGHT
    image = np.empty((HEIGHT, 2 * HEIGHT, 3))
    image[..., 0] = 127.5 + 127 * np.cos(heading)
    image[..., 1] = 127.5 + 127 * np.sin(heading)
    image[..., 2] = 127.5 + 127 * elevation[:, None] / (np.pi / 2)
    return np.rint(image).astype(np.uint8)


def read_marks(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the heading and elevation that colours (..., 3) of the marked panorama encode."""
    values = (rgb.astype(float) - 127.5) / 127
    return np.arctan2(values[..., 1], values[..., 0]), values[..., 2] * np.pi / 2


def test_views_are_in_matterport_order():
    views = views36(marked_panorama(), size=65)
    heading, elevation = read_marks(views[:, 32, 32])
    for view in range(36):
        assert np.cos(heading[view] - np.deg2rad(30 * (view % 12))) > np.cos(0.03)
        assert elevation[view] == pytest.approx(np.deg2rad(30 * (view // 12 - 1)), abs=0.03)


def test_every_pixel_has_the_direction_of_the_camera():
    views = views36(marked_panorama(), size=(48, 64), vfov=np.deg2rad(50))
    x, y = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    for view in (0, 5, 18, 35):
        camera = perspective_camera((48, 64), *view_direction(view), np.deg2rad(50))
        seen = direction(*read_marks(views[view]))
        away_from_pole = np.abs(camera(x, y)[..., 2]) < 0.8
        assert ((seen * camera(x, y)).sum(-1)[away_from_pole] > np.cos(0.06)).all()


@pytest.mark.parametrize("size", [32, 64, 128])
def test_reduction_does_not_turn_views(size):
    heading, elevation = read_marks(views36(marked_panorama(), size))
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    for view in range(12, 24):
        seen = direction(heading[view], elevation[view])
        camera = perspective_camera((size, size), *view_direction(view), np.pi / 3)
        right, up = np.cross(camera(x, y), (0, 0, 1)), np.array((0, 0, 1.0))
        assert abs((seen * right).sum(-1).mean()) < np.deg2rad(0.05)
        assert abs(((seen - camera(x, y)) @ up).mean()) < np.deg2rad(0.05)


def test_nearest_keeps_values_and_geometry():
    identity = np.arange(128)[:, None] * 256 + np.arange(256)[None, :]
    views = views36_nearest(identity.astype(np.int32), size=33)
    assert views.dtype == np.int32
    assert views.shape == (36, 33, 33)
    for view in (0, 13, 30):
        heading, elevation = view_direction(view)
        row, column = divmod(int(views[view, 16, 16]), 256)
        assert (column + 0.5) / 256 * 2 * np.pi - np.pi == pytest.approx(
            (heading + np.pi) % (2 * np.pi) - np.pi, abs=2 * np.pi / 256
        )
        assert np.pi / 2 - (row + 0.5) / 128 * np.pi == pytest.approx(elevation, abs=np.pi / 128)


def test_fine_detail_is_averaged_before_sampling():
    stripes = np.zeros((512, 1024, 3), np.uint8)
    stripes[:, ::2] = 200
    views = views36(stripes, size=32)
    assert np.abs(views[12].astype(int) - 100).max() <= 2


def test_unknown_view_is_refused():
    with pytest.raises(ValueError, match="36"):
        view_direction(36)


@pytest.mark.parametrize(
    ("width", "size", "vfov"),
    [
        (512, 112, np.pi / 3),
        (1024, 64, np.pi / 3),  # two pixels become one, because three does not divide the rows
        (512, (240, 320), np.pi / 3),
        (64, 16, np.pi / 2),
    ],
)
def test_views_read_exactly_rows_seen(width, size, vfov):
    shape = (width // 2, width, 3)
    panorama = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    rows = rows_seen(width, size, vfov)
    unseen = np.full_like(panorama, 255)
    unseen[rows] = panorama[rows]
    np.testing.assert_array_equal(views36(unseen, size, vfov), views36(panorama, size, vfov))
    middle = slice(rows.start + 12, rows.stop - 12)
    missing = np.full_like(panorama, 255)
    missing[middle] = panorama[middle]
    assert (views36(missing, size, vfov) != views36(panorama, size, vfov)).any()


SIZE = (56, 56)


@pytest.fixture(scope="module")
def cut(marked_skybox):
    """Function that renders views of a skybox whose colours encode their directions."""
    rotation = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])  # looks along +y
    strip = cube_strip(marked_skybox(rotation, size=128))

    def views(size, vfov):
        level = rays(perspective_camera(size, 0.0, 0.0, vfov), size)
        turns = [-rotation.T @ camera_turn(*view_direction(view)) for view in range(NUM_VIEWS)]
        return np.stack([draw(strip, turn, level) for turn in turns])

    return views


def test_clip_vil_views_are_bgr_frames_after_clips_preprocessing(cut):
    frames = cut((480, 640), np.pi / 3)[:3]
    official = transforms.Compose(
        [
            transforms.Resize(SIZE[0], transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(SIZE),
        ]
    )
    views = cut_views(lambda size, vfov: cut(size, vfov)[:3], "clip_vil", SIZE)
    for frame, view in zip(frames, views, strict=True):
        as_if_rgb = Image.fromarray(np.ascontiguousarray(frame[..., ::-1]))
        assert np.array_equal(np.asarray(official(as_if_rgb)), view)


# 492 / 480 is rounded down as a float, so that 480 times it is less than 492.
@pytest.mark.parametrize(
    ("shape", "side"),
    [((480, 640), 56), ((640, 480), 56), ((50, 77), 56), ((56, 56), 56), ((480, 640), 492)],
)
def test_cropping_equals_torchvision(shape: tuple[int, int], side: int):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    resize = transforms.Resize(side, transforms.InterpolationMode.BICUBIC)
    expected = transforms.CenterCrop(side)(resize(Image.fromarray(picture)))
    assert np.array_equal(centre_cropped(picture, (side, side)), np.asarray(expected))


def test_unknown_geometry_is_refused(cut):
    with pytest.raises(ValueError, match="clip_vil"):
        cut_views(cut, "fisheye", SIZE)
