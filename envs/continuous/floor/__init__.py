"""The floor of a house for agents that move freely: movement, collisions and distances."""

from clipnav.envs.continuous.floor.continuous_floor import RADIUS, ContinuousFloor

__all__ = ["RADIUS", "ContinuousFloor"]
