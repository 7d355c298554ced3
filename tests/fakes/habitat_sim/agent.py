from dataclasses import dataclass

import numpy as np

from habitat_sim.utils.common import Rotation


@dataclass
class SixDOFPose:
    position: np.ndarray
    rotation: Rotation


class AgentConfiguration:
    __slots__ = ("sensor_specifications",)

    def __eq__(self, other):
        return self.sensor_specifications == other.sensor_specifications
