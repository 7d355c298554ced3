"""Records of VLN-CE's episode files (R2R_VLNCE, RxR_VLNCE) and ground truth files."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from clipnav.envs.episodes.episode import TimedWord
from clipnav.storage.errors import UserError
from clipnav.storage.gzip_files import DAMAGE as GZIP_DAMAGE
from clipnav.storage.gzip_files import ExpansionError, open_maybe_packed
from clipnav.storage.json_files import describe_problem

Id = int | str
Vector = Annotated[tuple[float, ...], Meta(min_length=3, max_length=3)]
Action = Annotated[int, Meta(ge=0, le=5)]
Quaternion = Annotated[tuple[float, ...], Meta(min_length=4, max_length=4)]
Document = TypeVar("Document")


class Instruction(msgspec.Struct, frozen=True):
    """Instruction of an episode; RxR-CE adds all fields after the tokens."""

    instruction_text: str
    instruction_tokens: list[Any] | None = None
    instruction_id: Id | None = None
    language: str = "en"
    annotator_id: Id | None = None
    edit_distance: float | None = None
    timed_instruction: tuple[TimedWord, ...] | None = None


class Goal(msgspec.Struct, frozen=True):
    """Goal of an episode."""

    position: Vector
    radius: float | None = None


class EpisodeRecord(msgspec.Struct, frozen=True):
    """Episode in habitat's axes; the test splits have no info, goals and reference path."""

    episode_id: Id
    trajectory_id: Id
    scene_id: str
    start_position: Vector
    start_rotation: Quaternion
    instruction: Instruction
    info: dict[str, Any] | None = None
    goals: list[Goal] | None = None
    reference_path: list[Vector] | None = None


class Vocabulary(msgspec.Struct, frozen=True):
    """Vocabulary of R2R-CE; its other fields follow from the list of words."""

    word_list: tuple[str, ...]


class EpisodeFile(msgspec.Struct, frozen=True):
    """Episode file; RxR-CE has no vocabulary."""

    episodes: list[EpisodeRecord]
    instruction_vocab: Vocabulary | None = None


class GroundTruth(msgspec.Struct, frozen=True):
    """Walk of the expert: the start and the position after each step forward."""

    locations: list[Vector]
    actions: list[Action]
    forward_steps: int | None = None


def read_document(path: Path, kind: type[Document], remedy: str) -> Document:
    """Read a JSON file that may be compressed.

    RxR's word times contain NaN, which is not JSON; it is read as null.
    """
    try:
        with open_maybe_packed(path) as file:
            raw = file.read()
        if b"NaN" not in raw:
            return msgspec.json.decode(raw, type=kind)
        return msgspec.convert(json.loads(raw, parse_constant=lambda name: None), type=kind)
    except ExpansionError:
        raise
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: this file does not exist; {remedy}") from None
    except (ValueError, RecursionError, *GZIP_DAMAGE) as error:
        raise UserError(f"{path}: {describe_problem(error)}; {remedy}") from error
