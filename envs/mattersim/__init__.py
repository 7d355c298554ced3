"""`MatterSim`, the Python module of the Matterport3D Simulator, in Python instead of C++.

    import clipnav.envs.mattersim

    clipnav.envs.mattersim.install()  # or version="0.1" for code such as EnvDrop's
    import MatterSim  # imports this package, in any module

    sim = MatterSim.Simulator()
    sim.setNavGraphPath("data/matterport/connectivity")
    sim.setRenderingEnabled(False)
    sim.setDiscretizedViewingAngles(True)
    sim.setBatchSize(2)
    sim.initialize()
    sim.newEpisode(scans, viewpoints, headings, elevations)
    sim.makeAction([1, 0], [0, 1], [0, 0])
    states = sim.getState()

This package is version 0.2 (Matterport3DSimulator 589d091), `clipnav.envs.mattersim.v01` is
version 0.1. The navigable locations, their order and their angles equal those of the C++ simulator
to the bit.

Deliberate differences from MatterSim:

* Actions and episodes are transactions. A refused argument changes no agent, whereas MatterSim has
  already moved the agents before the refused one, without updating their lists of locations.
* Each simulator has its own graphs, seed, cache and depth settings. In MatterSim all simulators of
  a process silently share those of the first one. Random viewpoints therefore equal those that
  MatterSim draws in a new process.
* States and viewpoints can be pickled and copied; a copy does not change.
* A ViewPoint never changes. MatterSim sets the angles and the distance of a viewpoint to 0 when an
  agent moves there, also in lists that were returned before.
* `close` may be followed by new settings and episodes. A second call of `initialize` does nothing.
* Images are rendered when a state's `rgb` or `depth` is first read, where a missing skybox is
  reported, and each image is a new array. MatterSim renders at every action into the same memory.
* Depth has 16 bits; MatterSim's depth passes through 8 bits and has steps of 6.4 cm.
* A connectivity file is read and checked when its scan is first used; the error about a damaged
  file names the record.
* `Mat` is a NumPy array and `ViewPoint` a named tuple.
* `setCameraResolution` and `setCameraVFOV` refuse invalid sizes and angles.
* `timingInfo` includes the reading of skyboxes in the rendering time, without a separate line.
* `cbf` accepts images in any memory layout; MatterSim assumes that all are column-major.
* Version 0.1: `getState` before the first episode returns a state without location instead of
  crashing. Its simulators and states are those of version 0.2 with other signatures, and so have
  the other names of that version, too.
"""

import sys
from types import ModuleType

from clipnav.envs.mattersim import v01
from clipnav.envs.mattersim.pictures import Mat, cbf
from clipnav.envs.mattersim.v02 import SimState, Simulator
from clipnav.envs.mattersim.viewpoints import ViewPoint
from clipnav.storage.errors import UserError

__all__ = ["Mat", "SimState", "Simulator", "ViewPoint", "cbf", "install", "v01"]


def install(version: str = "0.2") -> ModuleType:
    """Make `import MatterSim` import this simulator, instead of any other module of that name.

    Args:
        version: Version of the interface: "0.2" (batches) or "0.1" (one agent per simulator).
    """
    versions = {"0.2": sys.modules[__name__], "0.1": v01}
    if version not in versions:
        raise UserError(
            f"MatterSim has no version '{version}', only {' and '.join(versions)}; use one of these"
        )
    sys.modules["MatterSim"] = versions[version]
    return versions[version]
