"""Pictures from cached panoramas of a house against the same pictures traced directly."""

import numpy as np
import pytest

from clipnav.envs.houses.building.house import HouseSpec, plan_of
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import make_textures
from clipnav.envs.houses.shell.assembly import assemble
from clipnav.envs.panoramas import render_panorama
from clipnav.envs.panoramas.cameras import direction, perspective_camera, render
from clipnav.envs.panoramas.ray_tracer import RayTracer
from clipnav.envs.pictures.panorama_files import DrawnPictures
from clipnav.envs.pictures.view_pictures import ViewPictures, ViewPose

SIZE, VFOV = (120, 160), np.pi / 3
POSES = [ViewPose("shell", "v", heading, tilt) for heading, tilt in ((0.4, -0.3), (2.5, 0.0))]


@pytest.fixture(scope="module")
def tracer():
    """House without furniture and light."""
    spec = HouseSpec("shell", plan_seed=3102, style_seed=4102, compact=True)
    style, textures = make_style(spec.style_seed), make_textures(spec.style_seed)
    return RayTracer(assemble(plan_of(spec), [], style, textures, compact=True))


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
    pictures = ViewPictures(source, SIZE, VFOV)
    for pose, rgb, depth in zip(POSES, pictures.rgb(POSES), pictures.depth(POSES), strict=True):
        camera = perspective_camera(SIZE, pose.heading, pose.elevation, VFOV)
        traced = render(tracer, position, camera, SIZE, VFOV / SIZE[0])
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
