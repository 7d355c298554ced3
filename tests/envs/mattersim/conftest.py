from pathlib import Path

import pytest

import clipnav.envs.mattersim
from clipnav.envs.mattersim import v01


@pytest.fixture(scope="session")
def tiny_graphs(tiny_world) -> str:
    """Folder of the graphs of the two small buildings `attic` and `barn`."""
    return str(tiny_world / "matterport" / "connectivity")


@pytest.fixture(scope="session")
def real_graphs(shared: Path) -> str:
    return str(shared / "data" / "matterport" / "connectivity")


@pytest.fixture
def simulator(tiny_graphs):
    """Function that builds simulators of version 0.2, with discretised angles by default."""

    def make(batch_size=1, discretized=True, graphs=tiny_graphs):
        made = clipnav.envs.mattersim.Simulator()
        made.setNavGraphPath(graphs)
        made.setRenderingEnabled(False)
        made.setDiscretizedViewingAngles(discretized)
        made.setCameraResolution(640, 480)
        made.setCameraVFOV(1.0471975511965976)
        made.setBatchSize(batch_size)
        return made

    return make


@pytest.fixture
def old_simulator(tiny_graphs):
    """Function that builds simulators of version 0.1, with discretised angles by default."""

    def make(discretized=True, graphs=tiny_graphs):
        made = v01.Simulator()
        made.setNavGraphPath(graphs)
        made.setRenderingEnabled(False)
        made.setDiscretizedViewingAngles(discretized)
        made.setCameraResolution(640, 480)
        made.setCameraVFOV(1.0471975511965976)
        return made

    return make
