"""Free positions of continuous walks on the map."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from clipnav.viewer.trace.positions import position_of


def free_places(scene: dict[str, Any], names: Iterable[str]) -> dict[str, list[float]]:
    """Return [x, y, z of the nearest viewpoint's floor, its storey] of the names of positions.

    Args:
        scene: Description of the building; see `clipnav.viewer.scene.scenes.scene`.
        names: Names of positions and of viewpoints, which are left out.
    """
    nodes = np.array(list(scene["viewpoints"].values()))
    places = {}
    for name in names:
        position = position_of(name)
        if position is not None:
            nearest = nodes[np.linalg.norm(nodes[:, :3] - position, axis=1).argmin()]
            places[name] = [position[0], position[1], float(nearest[2]), int(nearest[3])]
    return places
