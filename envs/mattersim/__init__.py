"""The Matterport3D Simulator's Python module, without its build: `MatterSim` in Python.

    import envs.mattersim

    envs.mattersim.install()  # or version="0.1" for code such as EnvDrop's
    import MatterSim  # now this package, whatever imports it

    sim = MatterSim.Simulator()
    sim.setNavGraphPath("data/matterport/connectivity")
    sim.setRenderingEnabled(False)
    sim.setDiscretizedViewingAngles(True)
    sim.setBatchSize(2)
    sim.initialize()
    sim.newEpisode(scans, viewpoints, headings, elevations)
    sim.makeAction([1, 0], [0, 1], [0, 0])
    states = sim.getState()

This package is version 0.2 (Matterport3DSimulator 589d091), `envs.mattersim.v01` is version 0.1.
What is navigable, in which order and under which angles equals the C++ simulator to the last bit.

Differences from MatterSim, all deliberate:

* Actions and episodes are transactions. An argument that is refused changes no agent; MatterSim
  leaves those before the refused one moved, but neither turned nor with a new list of locations.
* Each simulator has its own graphs, seed, cache and settings of depth. MatterSim keeps those of the
  first simulator in the process, and silently so. Random viewpoints hence are those that MatterSim
  draws in a fresh process.
* States and viewpoints can be pickled and copied; a copy stays as it is.
* A ViewPoint never changes. MatterSim zeroes the angles and the distance of one that is moved to,
  also in lists taken before.
* `close` can be followed by new settings and episodes. `initialize` twice is the same as once.
* Pictures are rendered when a state's `rgb` or `depth` is first read, so that a missing skybox is
  reported there, and each is a new array. MatterSim renders at every action into the same memory.
* Depth keeps 16 bits; MatterSim's goes through 8 bits, in steps of 6.4 cm.
* Connectivity files are read when their scan is first asked for, and are checked; a damaged one is
  an error that names the record.
* `Mat` is a NumPy array and `ViewPoint` a named tuple, with all that these can do besides.
* `setCameraResolution` and `setCameraVFOV` refuse what is no picture or no angle.
* `timingInfo` counts the reading of skyboxes as rendering and has no line of its own for it.
* `cbf` takes images in any memory layout; MatterSim's takes all for column-major.
* Version 0.1: `getState` before the first episode gives a state without location instead of
  crashing.
"""

import sys
from types import ModuleType

from envs.mattersim import v01
from envs.mattersim.depth_filling import cbf
from envs.mattersim.pictures import Mat
from envs.mattersim.places import ViewPoint
from envs.mattersim.v02 import SimState, Simulator

__all__ = ["Mat", "SimState", "Simulator", "ViewPoint", "cbf", "install", "v01"]


def install(version: str = "0.2") -> ModuleType:
    """Make `import MatterSim` give this simulator, in place of any other of that name.

    Args:
        version: Of the interface, "0.2" (batches) or "0.1" (one agent per simulator).

    Returns:
        The module that `import MatterSim` now gives.

    Raises:
        ValueError: There is no such version.
    """
    versions = {"0.2": sys.modules[__name__], "0.1": v01}
    if version not in versions:
        raise ValueError(f"MatterSim has no version '{version}', only {' and '.join(versions)}")
    sys.modules["MatterSim"] = versions[version]
    return versions[version]
