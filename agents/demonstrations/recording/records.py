"""Recorded walks: what an episode's pictures, actions and labels are, before any format.

An export writes its walks to shards in this form; the writers of the formats read them from there.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from clipnav.envs.continuous.episodes import ContinuousEpisode
    from clipnav.envs.episodes import Episode

Source = Literal["teacher", "policy"]


class RecordedCandidate(msgspec.Struct, frozen=True, gc=False):
    """A neighbour of a viewpoint.

    Attributes:
        heading: Absolute heading to it, radians clockwise from +y.
        elevation: Elevation of it, radians above the horizon.
        distance: Length of the edge in metres.
        rise: Height of it above the viewpoint in metres.
    """

    viewpoint: str
    heading: float
    elevation: float
    distance: float
    rise: float


class RecordedStep(msgspec.Struct, frozen=True, gc=False):
    """A position, what the agent sees there and what it does.

    Attributes:
        position: x, y and z of the camera in metres.
        heading: Radians clockwise from +y.
        label: Action of the teacher, the target of a training; 0 stops.
        source: Source of the action taken: "teacher" or "policy".
        picture: Egocentric picture of a continuous walk, relative to the folder of pictures; on a
            graph the pictures follow from the viewpoint, see `picture_name`.
        viewpoint: Viewpoint of a walk on a graph; "" in a continuous walk.
        candidates: Neighbours of the viewpoint; action k > 0 moves to candidates[k - 1].
        collided: Whether the action taken hit an obstacle (continuous walks).
    """

    position: tuple[float, float, float]
    heading: float
    label: int
    taken: int
    source: Source
    picture: str = ""
    viewpoint: str = ""
    candidates: tuple[RecordedCandidate, ...] = ()
    collided: bool = False

    @property
    def look_down(self) -> str:
        """Picture of the camera that looks down; its depth is a PNG file of the same name."""
        return self.picture.removesuffix(".jpg") + "_down.jpg"


class RecordedWalk(msgspec.Struct, frozen=True, gc=False):
    """A walk along an instruction.

    Attributes:
        steps: Steps in order; the last one stops, unless the walk was truncated.
        success: Whether the walk stopped within 3 m of the goal.
    """

    instr_id: str
    path_id: int
    scan: str
    language: str
    instruction: str
    steps: tuple[RecordedStep, ...]
    success: bool

    @classmethod
    def of(
        cls, episode: "Episode | ContinuousEpisode", steps: Sequence[RecordedStep], success: bool
    ) -> "RecordedWalk":
        """Return the walk of an episode; the other arguments are attributes."""
        return cls(
            instr_id=episode.instr_id,
            path_id=episode.path_id,
            scan=episode.scan,
            language=episode.language,
            instruction=episode.instruction,
            steps=tuple(steps),
            success=success,
        )

    @property
    def stopped(self) -> bool:
        """Whether the walk stopped, and was not truncated."""
        return self.steps[-1].taken == 0
