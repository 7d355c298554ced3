"""Episode: one instruction, where it starts and the path it describes."""

from dataclasses import dataclass

import msgspec


# RxR's training split has millions of them. The garbage collector need not look at a Struct, which
# halves the time of reading them.
class TimedWord(msgspec.Struct, frozen=True, gc=False):
    """A word of a spoken instruction, and when it was said.

    Attributes:
        word: As transcribed.
        start_time: Seconds from the start of the recording; None where RxR lacks it.
        end_time: The same of its end.
    """

    word: str
    start_time: float | None = None
    end_time: float | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One instruction, where it starts and the path it describes.

    Attributes:
        instr_id: Names the episode: `<path_id>_<k>` for instruction k of a path of R2R and R4R,
            `instruction_id` in RxR.
        path_id: Names the path.
        scan: Name of the building.
        path: Viewpoints of the reference path; only its start where the goal is kept secret (the
            test splits).
        heading: Initial heading, radians clockwise from +y.
        instruction: Raw text.
        language: Language tag, such as "en" or "hi-IN".
        annotator_id: Who gave the instruction (RxR).
        edit_distance: Between what the annotator typed and what a machine heard, as RxR gives it.
        timed_instruction: When each word was spoken (RxR, where it was asked for).
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
    """Language without the country: "en" for "en-IN"."""
    return tag.partition("-")[0]
