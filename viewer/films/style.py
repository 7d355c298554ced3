"""How large and in which colour things of an agent are drawn."""

from dataclasses import dataclass

from viewer.films.canvas import AGENTS


@dataclass(frozen=True)
class Style:
    """Of one agent's panels.

    Attributes:
        unit: Pixels of what has one pixel in a frame of 1280 x 720.
        number: Which of the agents: 0 or 1.
    """

    unit: float
    number: int = 0

    @property
    def colour(self) -> tuple[int, int, int]:
        """The agent's own."""
        return AGENTS[self.number]
