from habitat_sim.utils import common

__all__ = ["common"]
