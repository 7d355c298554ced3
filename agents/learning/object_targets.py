"""ObjectTargets: the objects that agents should point out, by episode and viewpoint."""

from collections.abc import Callable, Sequence

import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_world import NavWorld


class ObjectTargets:
    """Ranks of the target objects of E episodes at the viewpoints of their goals.

    Args:
        ids_of: Function of a viewpoint, a node of the world, that returns the ids of the objects
            that can be pointed out there; a target among others has no rank.
    """

    def __init__(
        self, world: NavWorld, episodes: Sequence[Episode], ids_of: Callable[[int], Sequence[str]]
    ) -> None:
        found = []
        for episode in episodes:
            ends = {}
            for viewpoint in episode.goal.viewpoints:
                target = episode.goal.object_at(viewpoint)
                node = world.node(episode.scan, viewpoint)
                names = list(ids_of(node))
                if target in names:
                    ends[node] = names.index(target)
            found.append(ends)
        most = max(1, *map(len, found))
        self._nodes = np.full((len(found), most), -1)
        self._ranks = np.full((len(found), most), -1)
        for episode, ends in enumerate(found):
            self._nodes[episode, : len(ends)] = list(ends)
            self._ranks[episode, : len(ends)] = list(ends.values())

    def ranks(self, episodes: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the (R,) ranks of the targets among the objects at nodes (R,); -1 for none.

        Args:
            episodes: (R,) episodes; -1 has no target.
        """
        here = (self._nodes[episodes] == nodes[:, None]) & (episodes >= 0)[:, None]
        return np.where(here, self._ranks[episodes], -1).max(1)
