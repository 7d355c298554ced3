"""Scale and colour of an agent's panels."""

from dataclasses import dataclass

from clipnav.viewer.films.canvas import AGENTS


@dataclass(frozen=True)
class Style:
    """Style of one agent's panels.

    Attributes:
        unit: Pixels per pixel of a frame of 1280 x 720.
        number: Number of the agent, 0 or 1.
    """

    unit: float
    number: int = 0

    @property
    def colour(self) -> tuple[int, int, int]:
        """Colour of the agent."""
        return AGENTS[self.number]
