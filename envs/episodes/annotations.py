"""Records of annotation files as R2R, R4R and RxR have them, and the episodes in them."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from envs.episodes.episode import Episode, TimedWord

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1)]
Path = Annotated[tuple[Name, ...], Meta(min_length=1)]


class PathRecord(msgspec.Struct, frozen=True, gc=False):
    """A path of R2R or R4R with all its instructions.

    R4R's further fields (`shortest_path`, `first_path_id`, ...) follow from the graph and R2R.
    """

    scan: Name
    path_id: Id
    path: Path
    heading: float
    instructions: Annotated[tuple[str, ...], Meta(min_length=1)]

    @property
    def name(self) -> str:
        """For errors."""
        return f"path_id {self.path_id}"

    def episodes(self) -> Iterator[Episode]:
        """One episode per instruction.

        Raises:
            ValueError: An instruction is blank.
        """
        for k, text in enumerate(self.instructions):
            if not text.strip():
                raise ValueError(f"field 'instructions': instruction {k} is blank")
            instr_id = f"{self.path_id}_{k}"
            yield Episode(instr_id, self.path_id, self.scan, self.path, self.heading, text, "en")


class GuideRecord(msgspec.Struct, frozen=True, gc=False):
    """An instruction of RxR: a line of a guide file.

    Test splits may lack `path_id`; what a machine wrote (Marky) lacks annotator and times.
    """

    instruction_id: Id
    scan: Name
    path: Path
    heading: float
    language: Name
    instruction: str
    path_id: Id | None = None
    annotator_id: int | None = None
    edit_distance: float | None = None

    @property
    def name(self) -> str:
        """For errors."""
        return f"instruction_id {self.instruction_id}"

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """Words with their times, if they were read."""
        return ()

    def episodes(self) -> Iterator[Episode]:
        """The one episode.

        Raises:
            ValueError: The instruction is blank.
        """
        if not self.instruction.strip():
            raise ValueError("field 'instruction' is blank")
        yield Episode(
            instr_id=str(self.instruction_id),
            path_id=self.instruction_id if self.path_id is None else self.path_id,
            scan=self.scan,
            path=self.path,
            heading=self.heading,
            instruction=self.instruction,
            language=self.language,
            annotator_id=self.annotator_id,
            edit_distance=self.edit_distance,
            timed_instruction=self.words,
        )


class TimedGuideRecord(GuideRecord, frozen=True, gc=False):
    """A line of a guide file with the times of its words."""

    timed_instruction: tuple[TimedWord, ...] = ()

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """Words with their times."""
        return self.timed_instruction
