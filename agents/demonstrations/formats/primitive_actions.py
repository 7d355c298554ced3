"""Names and groups of the primitive actions of continuous walks."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clipnav.agents.demonstrations.recording.records import RecordedWalk, Step
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP

WORDS = {STOP: "stop", FORWARD: "forward", LEFT: "left", RIGHT: "right"}
LONGEST_RUN = 3


class Run(NamedTuple):
    """Equal actions in a row.

    Attributes:
        start: Number of the first step.
        action: The action.
        length: Number of actions.
    """

    start: int
    action: int
    length: int


def runs(steps: Iterable[Step], longest: int = LONGEST_RUN) -> list[Run]:
    """Divide a walk into runs of equal labels of at most `longest` steps.

    A run ends where a policy takes another action than its label.
    """
    found: list[Run] = []
    follows = False
    for number, step in enumerate(steps):
        last = found[-1] if found else None
        equal = last is not None and last.action == step.label and last.length < longest
        if last is not None and equal and follows:
            found[-1] = last._replace(length=last.length + 1)
        else:
            found.append(Run(number, step.label, 1))
        follows = step.taken == step.label
    return found


def stopping(walks: Iterable[RecordedWalk]) -> Iterator[tuple[int, RecordedWalk]]:
    """Yield the walks that stop, with their numbers from 0.

    Truncated walks have no stop, which the formats assume at the end; the manifest counts them.
    `next.done` of LeRobot would mark their last frame as the end of the task.
    """
    return enumerate(walk for walk in walks if walk.stopped)
