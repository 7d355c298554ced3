"""Square views and CLIP-ViL's views: differences and agreement."""

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from clipnav.envs.panoramas.cameras import camera_turn, perspective_camera
from clipnav.envs.panoramas.cube_maps import cube_strip, draw, rays
from clipnav.envs.panoramas.view_geometry import centre_cropped, cut_views, geometry_metadata
from clipnav.storage.features.view_grid import NUM_VIEWS, view_direction

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


def test_metadata_is_empty_for_square_views():
    assert geometry_metadata("square") == {}
    assert geometry_metadata("clip_vil")["channel_order"] == "BGR"
    assert geometry_metadata("clip_vil")["view_size"] == [480, 640]


def test_unknown_geometry_is_refused(cut):
    with pytest.raises(ValueError, match="clip_vil"):
        cut_views(cut, "fisheye", SIZE)
