"""StreamVLN's trajectory data.

`annotations.json` is a list of `{"id": int, "video": "images/{scan}_{dataset}_{id:06d}",
"instructions": [str], "actions": [-1, a1, ...]}`; the pictures are `VIDEO/rgb/{number:03d}.jpg`,
from 001. Actions: 0 stop, 1 forward 25 cm, 2 left 15 degrees, 3 right 15 degrees. There is an
action for each picture, the one that led to it, so that the first is -1; the stop after the last
picture is not stored. Walks of more than 498 actions, the first -1 included, are left out, as by
StreamVLN's generator. `summary.json` has the same records as JSON Lines, with `trajectory_id` and
`scene_id`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from clipnav.agents.demonstrations.formats.files import (
    ANNOTATIONS,
    HINT,
    check_picture,
    checked_record,
    inside,
    link_video,
    stopping,
    write_records,
)
from clipnav.agents.demonstrations.recording.records import RecordedWalk, Source
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.prompts.observations import one_line
from clipnav.envs.continuous.settings import FORWARD, RIGHT, STOP
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.records import read_records

SUMMARY = "summary.json"
_LONGEST = 498
_NOTHING = -1  # nothing led to the first picture


class StreamVlnRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record of annotations.json; the last four keys are our own."""

    id: int
    video: str
    instructions: list[str]
    actions: list[int]
    instr_id: str
    language: str
    sources: list[Source]
    labels: list[int]


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write the records of continuous walks, with links to their pictures; see `Writer`."""
    records, lines = [], []
    for number, walk in stopping(walk for walk in walks if len(walk.steps) <= _LONGEST):
        video = link_video(walk, config.dataset, number, pictures, folder)
        record = StreamVlnRecord(
            id=number,
            video=video,
            instructions=[one_line(walk.instruction)],
            actions=[_NOTHING, *(step.taken for step in walk.steps[:-1])],
            instr_id=walk.instr_id,
            language=walk.language,
            sources=[step.source for step in walk.steps],
            labels=[step.label for step in walk.steps],
        )
        records.append(record)
        line = {**msgspec.to_builtins(record), "trajectory_id": walk.path_id}
        lines.append(msgspec.json.encode({**line, "scene_id": walk.scan}).decode())
    write_records(folder / ANNOTATIONS, records)
    write_text(folder / SUMMARY, "".join(f"{line}\n" for line in lines))


def read(folder: Path, size: tuple[int, int] | None = None) -> list[StreamVlnRecord]:
    """Read an export strictly."""
    path = folder / ANNOTATIONS
    records = read_records(path, StreamVlnRecord, HINT)
    for number, record in enumerate(records):
        with checked_record(path, number, f"id {record.id}"):
            if record.id != number:
                raise UserError(f"its id is not {number}, its number in the list")
            files = sorted((inside(folder, record.video) / "rgb").glob("*.jpg"))
            if len(files) != len(record.actions):
                raise UserError(f"{len(record.actions)} actions for {len(files)} pictures")
            if not len(record.sources) == len(record.labels) == len(files):
                raise UserError(
                    f"sources or labels differ in number from the {len(files)} pictures"
                )
            if record.actions[:1] != [_NOTHING]:
                raise UserError("the first action is not -1")
            if any(not FORWARD <= action <= RIGHT for action in record.actions[1:]):
                raise UserError("an action is not 1, 2 or 3")
            if not record.instructions or not all(record.instructions):
                raise UserError("it has no instruction")
            for file in files:
                check_picture(file, size)
    return records


def next_actions(record: StreamVlnRecord) -> list[int]:
    """Return the next action at each picture, as StreamVLN's loader derives it."""
    return [*record.actions[1:], STOP]


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    camera = manifest["camera"]
    records = read(folder, (camera["width"], camera["height"]))
    pictures = sum(len(record.actions) for record in records)
    return f"{pluralise(len(records), 'walk')}, {pluralise(pictures, 'picture')}"
