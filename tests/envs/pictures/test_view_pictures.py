"""Pictures from cached panoramas of a house against the same pictures traced directly."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch

from clipnav.envs.houses.building.house import HouseSpec, plan_of
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import make_textures
from clipnav.envs.houses.shell.assembly import assemble
from clipnav.envs.panoramas import render_panorama
from clipnav.envs.panoramas.cameras import direction, perspective_camera, render
from clipnav.envs.panoramas.ray_tracer import RayTracer
from clipnav.envs.panoramas.views import views36
from clipnav.envs.pictures.panorama_files import MILLIMETRES, NOTHING, DrawnPictures, NoPictureError
from clipnav.envs.pictures.view_pictures import ViewPictures, ViewPose, panorama_width
from tests.conftest import ROOT
from tests.envs.marked_panoramas import MarkedPanoramas, directions, seen

POSES = [
    ViewPose("attic", "a3", 0.3, -0.2),
    ViewPose("barn", "b0", 3.1, 0.5),
    ViewPose("attic", "a3", 5.9),
]
VFOV = np.deg2rad(50)


def pixel_rays(shape, pose, vfov=VFOV):
    x, y = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    return perspective_camera(shape, pose.heading, pose.elevation, vfov)(x, y)


def test_every_pixel_has_the_direction_of_its_pose():
    pictures = ViewPictures(MarkedPanoramas(), (48, 64), VFOV).rgb(POSES)
    assert pictures.shape == (3, 48, 64, 3)
    assert pictures.dtype == np.uint8
    for picture, pose in zip(pictures, POSES, strict=True):
        assert ((seen(picture) * pixel_rays((48, 64), pose)).sum(-1) > np.cos(0.02)).all()


def test_the_36_views_are_those_of_the_panorama():
    source = MarkedPanoramas()
    panorama = source.rgb("attic", "a3", 1024)
    views = ViewPictures(source, 224).views36("attic", "a3")
    np.testing.assert_array_equal(views, views36(panorama, 224))


def test_panoramas_are_decoded_once_within_the_stated_memory():
    source = MarkedPanoramas()
    pictures = ViewPictures(source, 224)
    for _ in range(3):
        pictures.rgb(POSES)
    assert source.drawn == [("attic", "a3", 1024), ("barn", "b0", 1024)]
    one = 3 * 512 * 1024
    small = ViewPictures(source, 224, memory=2 * one - 1)  # room for one
    source.drawn.clear()
    for _ in range(2):
        small.rgb(POSES)
    assert len(source.drawn) == 4


@pytest.mark.parametrize(
    ("shape", "width"),
    [((84, 84), 1024), ((224, 224), 1024), ((480, 640), 2048), ((2000, 2000), 4096)],
)
def test_larger_pictures_need_finer_panoramas(shape, width):
    assert panorama_width(shape, np.pi / 3) == width


class Room(MarkedPanoramas):
    """A box of 8 x 6 x 3 m around the camera, 1.5 m above its floor."""

    HALF = np.array([4.0, 3.0, 1.5])

    def distance(self, scan, viewpoint, width):
        metres = 1 / (np.abs(directions(width)) / self.HALF).max(-1)
        return np.rint(MILLIMETRES * metres).astype(np.uint16)


def test_depth_of_flat_walls_is_exact_except_at_edges():
    depth = ViewPictures(Room(), 96, VFOV).depth(POSES)
    for picture, pose in zip(depth, POSES, strict=True):
        rays = pixel_rays((96, 96), pose)
        exact = rays @ direction(pose.heading, pose.elevation)
        exact /= (np.abs(rays) / Room.HALF).max(-1)
        error = np.abs(picture - exact)
        assert np.median(error) < 0.001
        assert error.max() < 0.03


def test_unknown_distances_stay_unknown_and_none_at_all_is_an_error():
    class Partly(MarkedPanoramas):
        known = True

        def distance(self, scan, viewpoint, width):
            distances = np.zeros((width // 2, width), np.uint16)
            if self.known:
                distances[: width // 4] = NOTHING
            return distances

    source = Partly()
    depth = ViewPictures(source, 32).depth([ViewPose("attic", "a0", 0.0)])[0]
    assert np.isinf(depth[:15]).all()
    assert np.isnan(depth[17:]).all()
    source.known = False
    with pytest.raises(NoPictureError, match="no distances are known"):
        ViewPictures(source, 32).depth([ViewPose("attic", "a0", 0.0)])


FORKED = """
import os, torch
from clipnav.envs.pictures.view_pictures import ViewPictures, ViewPose
from tests.envs.marked_panoramas import MarkedPanoramas
torch.set_num_threads(4)
pictures = ViewPictures(MarkedPanoramas(), 224)
poses = [ViewPose("attic", f"a{number}", 0.5) for number in range(4)]
def draw():
    pictures.rgb(poses)
    pictures.depth(poses[:1])
    pictures.views36("attic", "a0")
draw()
assert torch.get_num_threads() == 4
child = os.fork()
if child == 0:
    draw()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_draws_after_its_parent_has_drawn():
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    subprocess.run(command, cwd=ROOT, check=True, timeout=100)


class WaitingPanoramas(MarkedPanoramas):
    """Panoramas whose second reader starts during the first reading and ends after it."""

    def __init__(self):
        super().__init__()
        self.first_reads, self.second_reads, self.first_ended = Event(), Event(), Event()

    def rgb(self, scan, viewpoint, width):
        if scan == "attic":
            self.first_reads.set()
            assert self.second_reads.wait(60)
        else:
            self.second_reads.set()
            assert self.first_ended.wait(60)
        return super().rgb(scan, viewpoint, width)


def test_drawing_in_two_threads_leaves_the_number_of_threads_of_torch():
    source, before = WaitingPanoramas(), torch.get_num_threads()
    pictures = ViewPictures(source, 16)
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(3) as pool:
            first = pool.submit(pictures.rgb, POSES[:1])
            assert source.first_reads.wait(60)
            second = pool.submit(pictures.rgb, POSES[1:2])
            first.result()
            source.first_ended.set()
            second.result()
        # A new thread takes the number that was set last in any thread.
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


SIZE, TRACED_VFOV = (120, 160), np.pi / 3
TRACED_POSES = [
    ViewPose("shell", "v", heading, tilt) for heading, tilt in ((0.4, -0.3), (2.5, 0.0))
]


@pytest.fixture(scope="module")
def tracer():
    """House without furniture and light."""
    spec = HouseSpec("shell", plan_seed=3102, style_seed=4102)
    style, textures = make_style(spec.style_seed), make_textures(spec.style_seed)
    return RayTracer(assemble(plan_of(spec), [], style, textures))


@pytest.fixture(scope="module")
def position():
    room = max(
        plan_of(HouseSpec("shell", plan_seed=3102, style_seed=4102)).rooms,
        key=lambda room: (room.x1 - room.x0) * (room.y1 - room.y0),
    )
    return np.array([*room.centre, room.floor + 1.5])


def test_colours_and_depth_equal_those_of_the_ray_tracer(tracer, position, tmp_path):
    source = DrawnPictures(
        lambda scan, viewpoint, width: render_panorama(tracer, position, width),
        lambda scan: tmp_path / scan,
    )
    pictures = ViewPictures(source, SIZE, TRACED_VFOV)
    for pose, rgb, depth in zip(
        TRACED_POSES, pictures.rgb(TRACED_POSES), pictures.depth(TRACED_POSES), strict=True
    ):
        camera = perspective_camera(SIZE, pose.heading, pose.elevation, TRACED_VFOV)
        traced = render(tracer, position, camera, SIZE, TRACED_VFOV / SIZE[0])
        squares = (rgb.astype(float) - traced.rgb.reshape(*SIZE, 3)) ** 2
        assert 10 * np.log10(255**2 / squares.mean()) > 28
        x, y = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
        along = camera(x, y) @ direction(pose.heading, pose.elevation)
        exact = traced.distance.reshape(SIZE) * along
        hit = np.isfinite(exact) & np.isfinite(depth)
        assert (np.isfinite(exact) == np.isfinite(depth)).mean() > 0.98
        error = np.abs(depth - exact)[hit]
        assert np.median(error) < 0.001
        assert (error < 0.01).mean() > 0.95
