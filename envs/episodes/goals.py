"""Check that the goals of episodes are published; those of test splits are secret."""

from collections.abc import Iterable
from typing import Protocol

from clipnav.storage.errors import UserError


class HasGoal(Protocol):
    """Episode of the graphs or of continuous space."""

    @property
    def has_goal(self) -> bool:
        """Whether the goal is published."""
        ...


def check_goals(
    episodes: Iterable[HasGoal], split: str, consequence: str = "walks have no measures"
) -> None:
    """Check that the goals of all episodes are published."""
    if not all(episode.has_goal for episode in episodes):
        raise UserError(
            f"{split}: its goals are not published, so that {consequence}; name another split"
        )
