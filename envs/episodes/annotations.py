"""Records of the annotation files of R2R, R4R and RxR, and their episodes."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from clipnav.envs.episodes.episode import Episode, TimedWord
from clipnav.storage.errors import UserError

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1)]
Path = Annotated[tuple[Name, ...], Meta(min_length=1)]


class PathRecord(msgspec.Struct, frozen=True, gc=False):
    """Path of R2R or R4R with all its instructions.

    The other fields of R4R (`shortest_path`, `first_path_id`, ...) follow from the graph and R2R.
    """

    scan: Name
    path_id: Id
    path: Path
    heading: float
    instructions: Annotated[tuple[str, ...], Meta(min_length=1)]

    @property
    def name(self) -> str:
        """Name of the record in error messages."""
        return f"path_id {self.path_id}"

    def episodes(self) -> Iterator[Episode]:
        """Yield one episode per instruction.

        Raises:
            UserError: An instruction is blank.
        """
        for k, text in enumerate(self.instructions):
            if not text.strip():
                raise UserError(f"field 'instructions': instruction {k} is blank")
            instr_id = f"{self.path_id}_{k}"
            yield Episode(instr_id, self.path_id, self.scan, self.path, self.heading, text, "en")


class GuideRecord(msgspec.Struct, frozen=True, gc=False):
    """Instruction of RxR, a line of a guide file.

    Test splits may lack `path_id`; generated instructions (Marky) lack the annotator and the times.
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
        """Name of the record in error messages."""
        return f"instruction_id {self.instruction_id}"

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """Words with their times; empty unless they were read."""
        return ()

    def episodes(self) -> Iterator[Episode]:
        """Yield the episode of the instruction.

        Raises:
            UserError: The instruction is blank.
        """
        if not self.instruction.strip():
            raise UserError("field 'instruction' is blank")
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
    """Line of a guide file with the times of its words."""

    timed_instruction: tuple[TimedWord, ...] = ()

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """Words with their times."""
        return self.timed_instruction
