"""Walks with the next eight waypoints of each picture, for models that answer waypoints.

`annotations.json` is a list of `{"id": int, "video": "images/{scan}_{dataset}_{id:06d}",
"instruction": str, "waypoints": [[[x, y, theta], ...], ...]}`; the pictures are
`VIDEO/rgb/{number:03d}.jpg`, from 001, with eight waypoints for each: the next positions of the
walk every 0.25 m, x ahead and y to the left in metres, theta in radians counter-clockwise, and
zeros where the walk stops; see `next_waypoints`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clipnav.agents.demonstrations.formats.files import (
    ANNOTATIONS,
    HINT,
    check_picture,
    checked_record,
    inside,
    link_video,
    picture_of,
    stopping,
    write_records,
)
from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.prompts.observations import one_line
from clipnav.envs.continuous.goal_labels import WAYPOINTS, next_waypoints
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.records import read_records

_DECIMALS = 6


class WaypointRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record of annotations.json."""

    id: int
    video: str
    instruction: str
    waypoints: list[list[tuple[float, float, float]]]
    instr_id: str
    language: str


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write the records of continuous walks, with links to their pictures; see `Writer`."""

    def records() -> Iterator[WaypointRecord]:
        for number, walk in stopping(walks):
            video = link_video(walk, config.dataset, number, pictures, folder)
            positions = np.array([step.position for step in walk.steps])
            waypoints = [
                next_waypoints(positions[index], step.heading, positions[index + 1 :])
                for index, step in enumerate(walk.steps)
            ]
            yield WaypointRecord(
                id=number,
                video=video,
                instruction=one_line(walk.instruction),
                waypoints=np.round(waypoints, _DECIMALS).tolist(),
                instr_id=walk.instr_id,
                language=walk.language,
            )

    write_records(folder / ANNOTATIONS, records())


def read(folder: Path, size: tuple[int, int] | None = None) -> list[WaypointRecord]:
    """Read an export strictly."""
    path = folder / ANNOTATIONS
    records = read_records(path, WaypointRecord, HINT)
    for number, record in enumerate(records):
        with checked_record(path, number, f"id {record.id}"):
            if record.id != number:
                raise UserError(f"its id is not {number}")
            if any(len(row) != WAYPOINTS for row in record.waypoints):
                raise UserError(f"a picture has not {WAYPOINTS} waypoints")
            if not record.waypoints or np.any(record.waypoints[-1]):
                raise UserError("its last waypoints are not zeros")
            for index in range(1, len(record.waypoints) + 1):
                check_picture(inside(folder, picture_of(record.video, index)), size)
    return records


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    camera = manifest["camera"]
    records = read(folder, (camera["width"], camera["height"]))
    pictures = sum(len(record.waypoints) for record in records)
    return f"{pluralise(len(records), 'walk')}, {pluralise(pictures, 'picture')}"
