"""Readers of VLN-CE's episode files and ground truth files, real ones and those of the houses."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from clipnav.envs.continuous.coordinates import from_habitat, rotation_to_heading
from clipnav.envs.continuous.episodes import ContinuousEpisode, Point
from clipnav.envs.datasets import ContinuousForm
from clipnav.envs.episodes.episode import TimedWord
from clipnav.storage.bounds import ExpansionError
from clipnav.storage.errors import UserError
from clipnav.storage.gzip_files import DAMAGE as GZIP_DAMAGE
from clipnav.storage.gzip_files import open_maybe_packed
from clipnav.storage.json_files import describe_problem
from clipnav.storage.records import RecordError

Id = int | str
Vector = Annotated[tuple[float, ...], Meta(min_length=3, max_length=3)]
Action = Annotated[int, Meta(ge=0, le=5)]
Quaternion = Annotated[tuple[float, ...], Meta(min_length=4, max_length=4)]
Document = TypeVar("Document")
_HINT = (
    "get R2R_VLNCE or RxR_VLNCE from the VLN-CE project, or write the houses' files with "
    "clipnav export-continuous-episodes"
)


class VlnceInstruction(msgspec.Struct, frozen=True):
    """Instruction of an episode; RxR-CE adds all fields after the tokens."""

    instruction_text: str
    instruction_tokens: list[Any] | None = None
    instruction_id: Id | None = None
    language: str = "en"
    annotator_id: Id | None = None
    edit_distance: float | None = None
    timed_instruction: tuple[TimedWord, ...] | None = None


class VlnceGoal(msgspec.Struct, frozen=True):
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
    instruction: VlnceInstruction
    info: dict[str, Any] | None = None
    goals: list[VlnceGoal] | None = None
    reference_path: list[Vector] | None = None


class VlnceVocabulary(msgspec.Struct, frozen=True):
    """Vocabulary of R2R-CE; its other fields follow from the list of words."""

    word_list: tuple[str, ...]


class EpisodeFile(msgspec.Struct, frozen=True):
    """Episode file; RxR-CE has no vocabulary."""

    episodes: list[EpisodeRecord]
    instruction_vocab: VlnceVocabulary | None = None


class VlnceGroundTruth(msgspec.Struct, frozen=True):
    """Walk of the expert: the start and the position after each step forward."""

    locations: list[Vector]
    actions: list[Action]
    forward_steps: int | None = None


def read_document(path: Path, kind: type[Document], hint: str) -> Document:
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
        raise FileNotFoundError(f"{path}: this file does not exist; {hint}") from None
    except (ValueError, RecursionError, *GZIP_DAMAGE) as error:
        raise UserError(f"{path}: {describe_problem(error)}; {hint}") from error


@dataclass(frozen=True, eq=False)
class VlnceEpisodes:
    """Content of an episode file.

    Attributes:
        episodes: Episodes in the order of the file, in the axes of the navigation graphs.
        words: Words of the vocabulary in index order; empty in RxR-CE, which has none.
    """

    episodes: list[ContinuousEpisode]
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ExpertRecord:
    """Walk of the expert in a ground truth file.

    Attributes:
        locations: (G, 3) start and position after each step forward, in the axes of the graphs.
        actions: (T,) actions; the last one is stop.
    """

    locations: np.ndarray
    actions: np.ndarray


def read_vlnce_episodes(path: str | Path, form: ContinuousForm = "r2r-ce") -> VlnceEpisodes:
    """Read an episode file of R2R-CE or RxR-CE, compressed or not.

    The `instr_id` of R2R-CE counts the instructions of a path as R2R does, so that it equals R2R's
    if the file contains all instructions of a path in R2R's order.
    """
    path = Path(path)
    content = read_document(path, EpisodeFile, _HINT)
    counts: Counter[object] = Counter()
    episodes, ids = [], set()
    for number, record in enumerate(content.episodes):
        try:
            trajectory = record.trajectory_id
            instr_id = _instr_id(record, form, counts[trajectory])
            episode = _episode(record, instr_id)
            if episode.episode_id in ids:
                raise UserError("this episode_id occurs twice")
        except ValueError as error:
            identity = f"episode_id {record.episode_id}"
            raise RecordError(path, number, str(error), _HINT, identity) from error
        counts[trajectory] += 1
        ids.add(episode.episode_id)
        episodes.append(episode)
    if not episodes:
        raise UserError(f"{path}: the file contains no episode; {_HINT}")
    words = content.instruction_vocab.word_list if content.instruction_vocab else ()
    return VlnceEpisodes(episodes, words)


def read_ground_truth(path: str | Path) -> dict[str, ExpertRecord]:
    """Read a ground truth file, `<split>_gt.json.gz`; return the walks by `episode_id`."""
    records = read_document(Path(path), dict[str, VlnceGroundTruth], _HINT)
    walks = {}
    for episode_id, record in records.items():
        if not record.locations:
            raise UserError(f"{path}: episode {episode_id} has no locations; {_HINT}")
        walks[episode_id] = ExpertRecord(
            from_habitat(np.array(record.locations)), np.array(record.actions, np.int64)
        )
    return walks


def _instr_id(record: EpisodeRecord, form: ContinuousForm, count: int) -> str:
    own = (record.info or {}).get("instr_id")
    if isinstance(own, str):  # written by this project
        return own
    if form == "rxr-ce":
        if record.instruction.instruction_id is None:
            raise UserError("field 'instruction.instruction_id' is missing")
        return str(record.instruction.instruction_id)
    return f"{record.trajectory_id}_{count}"


def _episode(record: EpisodeRecord, instr_id: str) -> ContinuousEpisode:
    parts = record.scene_id.split("/")
    if len(parts) < 2:
        raise UserError(f"field 'scene_id' is {record.scene_id!r}, but must be a path of a scene")
    instruction = record.instruction
    heading = float(rotation_to_heading(np.array(record.start_rotation)))
    path = record.reference_path or []
    if record.goals and not path:
        raise UserError("field 'reference_path' is missing, although the episode has goals")
    annotator = instruction.annotator_id
    return ContinuousEpisode(
        episode_id=str(record.episode_id),
        instr_id=instr_id,
        path_id=_number(record.trajectory_id),
        scan=parts[-2],
        start=_point(record.start_position),
        heading=heading,
        reference_path=tuple(map(_point, path)),
        instruction=instruction.instruction_text,
        language=instruction.language,
        annotator_id=None if annotator is None else _number(annotator),
        edit_distance=instruction.edit_distance,
        timed_instruction=instruction.timed_instruction or (),
    )


def _point(position: tuple[float, ...]) -> Point:
    x, y, z = (from_habitat(np.array(position)) + 0.0).tolist()
    return x, y, z


def _number(value: int | str) -> int:
    try:
        return int(value)
    except ValueError:
        raise UserError(f"{value!r} is not a whole number") from None
