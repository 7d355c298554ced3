"""GhostTeacher: the decision that an agent with a ghost map should take.

ETPNav 8dec13a `vlnce_baselines/ss_trainer_ETP.py: RLTrainer._teacher_action_new` and
`vlnce_baselines/common/environments.py: VLNCEDaggerEnv.ghost_dist_to_ref`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clipnav.agents.etpnav.ghost_map import GhostMap
from clipnav.agents.etpnav.settings import Rule
from clipnav.agents.maps.experts import NO_TARGET, STOP_TOKEN

_STOP_RADIUS = 1.5  # metres from the goal within which the teacher stops
_SUB_GOAL_RADIUS = 3.0  # metres


@dataclass
class GhostTeacher:
    """Teacher of one episode.

    It stops within 1.5 m of the goal. Otherwise it chooses the ghost that is nearest to the goal,
    or, with a reference walk, to the next sub-goal on it. A ghost is where a straight walk to it
    ends, in a random one of its sightings. Distances are geodesic.

    Attributes:
        floor: Floor of the building, see `clipnav.envs.continuous.simulator.Floor`.
        goal: (3,) goal.
        reference: (G, 3) points of the expert's walk; None to compare with the goal.
        rule: See `sub_goal`.
    """

    floor: Any
    goal: np.ndarray
    rng: np.random.Generator
    reference: np.ndarray | None = None
    rule: Rule = "intended"
    progress: int = field(default=0, init=False)

    def target(self, ghost_map: GhostMap) -> int:
        """Return the map token of the teacher; `NO_TARGET` if there is no ghost."""
        position = ghost_map.nodes[-1]
        if self.floor.distances(position[None], self.goal)[0] < _STOP_RADIUS:
            return STOP_TOKEN
        ghosts = list(ghost_map.ghosts.values())
        if not ghosts:
            return NO_TARGET
        ends = np.array([ghost.ends[self.rng.integers(len(ghost.ends))] for ghost in ghosts])
        goal = self.goal
        if self.reference is not None:
            away = self.floor.distances(self.reference, position)
            self.progress = sub_goal(away, self.progress, self.rule)
            goal = self.reference[self.progress]
        return 1 + len(ghost_map.nodes) + int(self.floor.distances(ends, goal).argmin())


def sub_goal(distances: np.ndarray, progress: int, rule: Rule) -> int:
    """Return the index of the next sub-goal on a reference walk.

    It is the last one of the points within 3 m that follow the last sub-goal without a gap between
    them; the last sub-goal itself if there is no such point.

    Args:
        distances: (G,) geodesic metres from the agent to the points of the walk.
        progress: Index of the last sub-goal, 0 at first.
        rule: Where the points have a gap, "published" takes the position in their list as the index
            in the walk, so that the sub-goal jumps back; "intended" does not.
    """
    ahead = np.flatnonzero(distances <= _SUB_GOAL_RADIUS)
    ahead = ahead[ahead >= progress]
    if not ahead.size:
        return progress
    before_gap = int(np.append(np.flatnonzero(np.diff(ahead) > 1), len(ahead) - 1)[0])
    is_gap = before_gap < len(ahead) - 1
    return before_gap if rule == "published" and is_gap else int(ahead[before_gap])
