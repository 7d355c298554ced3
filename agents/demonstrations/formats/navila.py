"""NaVILA's navigation data.

`R2R/annotations.json` or `RxR/annotations.json` is a list with one record for each decision:
`{"video_id", "q": instruction, "a": answer, "frames": [...]}`. The frames are those from the start
up to the current one, relative to the folder of the dataset. Up to three equal actions in a row are
one decision, such as "The next action is move forward 75 cm.", whose picture is the one before
them.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from clipnav.agents.demonstrations.formats.files import (
    ANNOTATIONS,
    HINT,
    Run,
    check_picture,
    checked_record,
    inside,
    link_picture,
    runs,
    stopping,
    write_records,
)
from clipnav.agents.demonstrations.recording.records import RecordedWalk, Source
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.prompts.observations import one_line
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from clipnav.envs.datasets import dataset_spec
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.records import read_records

_CENTIMETRES, _DEGREES = 25, 15
_TURNS = {LEFT: "left", RIGHT: "right"}
_ANSWER = re.compile(
    r"The next action is (?:stop|move forward (25|50|75) cm|turn (left|right) (15|30|45) degree)\."
)


class NavilaRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record of a decision; the last three keys are our own."""

    video_id: str
    q: str
    a: str
    frames: list[str]
    instr_id: str
    language: str
    source: Source


def answer(run: Run) -> str:
    """Return the answer of a decision."""
    if run.action == STOP:
        return "The next action is stop."
    if run.action == FORWARD:
        return f"The next action is move forward {_CENTIMETRES * run.length} cm."
    return f"The next action is turn {_TURNS[run.action]} {_DEGREES * run.length} degree."


def actions(text: str) -> tuple[int, int]:
    """Return action and number of repetitions of an answer."""
    match = _ANSWER.fullmatch(text)
    if match is None:
        raise UserError(f"the answer {text!r} is none of NaVILA's")
    centimetres, side, degrees = match.groups()
    if centimetres:
        return FORWARD, int(centimetres) // _CENTIMETRES
    return (STOP, 1) if side is None else (LEFT if side == "left" else RIGHT, int(degrees) // 15)


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write the records of continuous walks, with links to their pictures; see `Writer`."""
    root = folder / dataset_spec(config.dataset).label
    root.mkdir()

    def records() -> Iterator[NavilaRecord]:
        for number, walk in stopping(walks):
            video = f"{config.split}/{number}"
            frames = [f"{video}/frame_{index}.jpg" for index in range(len(walk.steps))]
            for name, step in zip(frames, walk.steps, strict=True):
                link_picture(pictures / step.picture, root / name)
            for run in runs(walk.steps):
                yield NavilaRecord(
                    video_id=video,
                    q=one_line(walk.instruction),
                    a=answer(run),
                    frames=frames[: run.start + 1],
                    instr_id=walk.instr_id,
                    language=walk.language,
                    source=walk.steps[run.start].source,
                )

    write_records(root / ANNOTATIONS, records())


def read(root: Path, size: tuple[int, int] | None = None) -> list[NavilaRecord]:
    """Read the folder of a dataset strictly."""
    path = root / ANNOTATIONS
    records = read_records(path, NavilaRecord, HINT)
    known: set[str] = set()
    expected = 0  # number of frames at the next decision of a walk
    for number, record in enumerate(records):
        with checked_record(path, number, f"video_id {record.video_id}"):
            _, repetitions = actions(record.a)
            starts = not number or records[number - 1].video_id != record.video_id
            if len(record.frames) != (1 if starts else expected):
                raise UserError(f"{len(record.frames)} frames do not follow the decision before")
            expected = len(record.frames) + repetitions
            if not record.q:
                raise UserError("it has no instruction")
            for name in record.frames:
                if name not in known:
                    check_picture(inside(root, name), size)
                    known.add(name)
    return records


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    camera = manifest["camera"]
    root = folder / dataset_spec(manifest["dataset"]).label
    records = read(root, (camera["width"], camera["height"]))
    walks = len({record.video_id for record in records})
    return f"{pluralise(walks, 'walk')}, {pluralise(len(records), 'decision')}"
