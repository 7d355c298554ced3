"""Episode: one instruction, its start and its reference path."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from clipnav.storage.errors import UserError


# RxR's training split has millions of timed words. The garbage collector skips a Struct, which
# halves the time of reading them.
class TimedWord(msgspec.Struct, frozen=True, gc=False):
    """Word of a spoken instruction with its time in the recording.

    Attributes:
        word: Transcribed word.
        start_time: Start in seconds from the start of the recording; None where RxR lacks it.
        end_time: End in seconds from the start of the recording; None where RxR lacks it.
    """

    word: str
    start_time: float | None = None
    end_time: float | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One instruction, its start and its reference path.

    Attributes:
        instr_id: Id of the episode: `<path_id>_<k>` for instruction k of a path of R2R and R4R,
            `instruction_id` in RxR.
        path_id: Id of the path.
        scan: Name of the building.
        path: Viewpoints of the reference path; only its start where the goal is secret (the test
            splits).
        heading: Initial heading, radians clockwise from +y.
        instruction: Raw text of the instruction.
        language: Language tag, such as "en" or "hi-IN".
        annotator_id: Id of the annotator (RxR), or None.
        edit_distance: Edit distance between the annotator's transcript and automatic speech
            recognition (RxR), or None.
        timed_instruction: Words with their times (RxR, only if they were loaded).
    """

    instr_id: str
    path_id: int
    scan: str
    path: tuple[str, ...]
    heading: float
    instruction: str
    language: str
    annotator_id: int | None = None
    edit_distance: float | None = None
    timed_instruction: tuple[TimedWord, ...] = ()

    @property
    def has_goal(self) -> bool:
        """Whether the goal, the last viewpoint of the path, is known."""
        return len(self.path) > 1


def base_language(tag: str) -> str:
    """Return the language of a tag without the country: "en" for "en-IN"."""
    return tag.partition("-")[0]


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
