import numpy as np
import pytest

from clipnav.envs.drawing.camera import Camera, Pose, Standpoint, bare_panorama

RNG = np.random.default_rng(0)


def directions(rows=256):
    """A panorama whose red, green and blue are 127.5 + 127 times east, north and up."""
    headings = (np.arange(2 * rows) + 0.5) / rows * np.pi - np.pi
    elevations = (np.pi / 2 - (np.arange(rows) + 0.5) / rows * np.pi)[:, None]
    rays = np.stack(
        [
            np.sin(headings) * np.cos(elevations),
            np.cos(headings) * np.cos(elevations),
            np.broadcast_to(np.sin(elevations), (rows, 2 * rows)),
        ],
        axis=-1,
    )
    return np.rint(127.5 + 127 * rays).astype(np.uint8)


def place(x=0.0, y=0.0, picture=None):
    picture = directions() if picture is None else picture
    return Standpoint(picture, np.array([x, y, 1.5]), 1.5)


@pytest.mark.parametrize(
    ("heading", "pitch"), [(0.0, 0.0), (1.0, -0.3), (3.1, 0.2), (-2.5, 0.0), (7.0, 0.2)]
)
def test_a_direction_is_seen_where_it_is_projected(heading, pitch):
    camera, pose = Camera(320, 180, 1.6), Pose(heading, pitch)
    seen = camera.look(place(), pose)
    headings = heading + RNG.uniform(-0.6, 0.6, 40)
    elevations = pitch + RNG.uniform(-0.3, 0.3, 40)
    x, y = camera.project(headings, elevations, pose).T
    found = seen[y.astype(int), x.astype(int)]
    rays = [np.sin(headings), np.cos(headings)] * np.cos(elevations)
    expected = 127.5 + 127 * np.stack([*rays, np.sin(elevations)], axis=1)
    np.testing.assert_allclose(found, expected, atol=3)
    ((ahead_x, ahead_y),) = camera.project([heading], [pitch], pose)
    assert (ahead_x, ahead_y) == pytest.approx((160, 90))


def test_what_lies_behind_is_not_projected():
    found = Camera(320, 180, 1.6).project([np.pi], [0.0], Pose(0.0, 0.0))
    assert np.isnan(found).all()


@pytest.mark.parametrize("way", [(0.0, 3.0), (2.0, -1.0)])
def test_a_way_begins_in_one_panorama_and_ends_in_the_other(way):
    noise = RNG.integers(0, 255, (16, 32, 3)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    start, end = place(), place(*way, picture=noise)
    camera, pose = Camera(160, 90, 1.6), Pose(np.arctan2(*way), -0.1)
    for along, at in ((0.0, start), (1.0, end)):
        seen = camera.glide((start, end), along, pose).astype(int)
        # Single pixels may lie on the other side of an edge.
        assert (abs(seen - camera.look(at, pose)).max(2) <= 2).mean() > 0.99


def test_what_is_on_the_floor_stays_in_its_place_on_the_way():
    start, end = (
        place(0.0, y, bare_panorama(np.array([0.0, y, 1.5]), 1.5, rows=1024)) for y in (0.0, 2.5)
    )
    camera, pose = Camera(320, 180, 1.6), Pose(0.0, -0.4)
    half = place(0.0, 1.25, bare_panorama(np.array([0.0, 1.25, 1.5]), 1.5, rows=1024))
    seen = camera.glide((start, end), 0.5, pose)[90:].astype(int)
    there = camera.look(half, pose)[90:].astype(int)
    away = camera.look(start, pose)[90:].astype(int)
    assert abs(seen - there).mean() < 0.5 * abs(away - there).mean()
