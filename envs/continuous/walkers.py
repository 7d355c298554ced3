"""Interface of agents that walk in continuous environments."""

from typing import Any, Protocol

import numpy as np


class Walker(Protocol):
    """An agent that walks B episodes at once."""

    def start(self, observation: dict[str, np.ndarray], info: Any) -> None:
        """Begin new episodes."""
        ...

    def act(self, observation: dict[str, np.ndarray], info: Any, active: np.ndarray) -> np.ndarray:
        """Return the actions (B,); those of agents that are not in `active` (M,) do not count."""
        ...
