"""Records of the annotation files of R2R, R4R and RxR, and their episodes."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from clipnav.envs.episodes.episode import Episode, TimedWord
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.storage.records import read_records

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1)]
Path = Annotated[tuple[Name, ...], Meta(min_length=1)]


class AnnotationRecord(Protocol):
    """Record of an annotation file of any dataset."""

    @property
    def scan(self) -> str:
        """Name of the building."""
        ...

    @property
    def path(self) -> tuple[str, ...]:
        """Viewpoints of the reference path; only its start where the goal is secret."""
        ...

    @property
    def name(self) -> str:
        """Name of the record in error messages."""
        ...

    def episodes(self) -> Iterator[Episode]:
        """Yield the episodes of the record, or raise UserError."""
        ...


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
        """Yield one episode per instruction."""
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
        """Yield the episode of the instruction."""
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


def read_paths(
    path: pathlib.Path, split: str, files: WorldFiles, timed: bool
) -> Sequence[PathRecord]:
    """Read an annotation file in the form of R2R, a JSON array of paths; see `DatasetSpec.read`."""
    return read_records(path, PathRecord, files.record_hint(path))


def read_guides(
    path: pathlib.Path, split: str, files: WorldFiles, timed: bool
) -> Sequence[GuideRecord]:
    """Read a guide file of RxR; see `DatasetSpec.read`."""
    kind = TimedGuideRecord if timed else GuideRecord
    return read_records(path, kind, files.record_hint(path))
