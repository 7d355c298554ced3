"""A server of the fake habitat-sim, and scenes."""

import pytest

from clipnav.envs.habitat.client import HabitatServer


@pytest.fixture
def server(habitat_python):
    with HabitatServer(habitat_python, gpu_device_id=-1) as server:
        yield server


@pytest.fixture
def scene(tmp_path):
    """File of a scene, whose content the fake reads."""
    path = tmp_path / "attic.glb"
    path.touch()
    return path


@pytest.fixture
def floor(scene, tmp_path):
    """Arguments that name a floor: 12 x 11 m around the origin, less the radius of the agent."""
    mesh = tmp_path / "meshes" / "attic.navmesh"
    return {"scene": str(scene), "mesh": str(mesh), "radius": 0.1, "height": 1.5}
