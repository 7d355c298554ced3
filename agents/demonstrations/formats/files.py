"""Files that several formats share: lists of records, and pictures linked from the staging area."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import msgspec

from clipnav.agents.demonstrations.recording.records import RecordedWalk, Step
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.pictures import PictureError, picture_header

ANNOTATIONS = "annotations.json"
IMAGES = "images"
IMAGE = "<image>"  # marker of a picture in a text
REMEDY = "export it again with clipnav export-demonstrations"


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write records as a JSON array with one record a line, atomically."""
    encode = msgspec.json.Encoder().encode
    with atomic_write(path) as beside, beside.open("wb") as file:
        file.write(b"[")
        for number, record in enumerate(records):
            file.write(b",\n" if number else b"\n")
            file.write(encode(record))
        file.write(b"\n]\n")


def link_pictures(names: Iterable[str], source: Path, target: Path) -> None:
    """Make the pictures of one folder available in another one, without a copy where possible."""
    for name in names:
        link_picture(source / name, target / name)


def link_picture(source: Path, target: Path) -> None:
    """Make a picture available under another name, without a copy where possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def check_picture(path: Path, size: tuple[int, int] | None) -> None:
    """Check that a picture exists and has a size."""
    try:
        width, height, _ = picture_header(path)
    except FileNotFoundError:
        raise UserError(f"the picture {path} is missing") from None
    except PictureError as error:
        raise UserError(str(error)) from error
    if size is not None and (width, height) != size:
        raise UserError(f"{path} has {width} x {height} pixels instead of {size[0]} x {size[1]}")


def inside(folder: Path, name: str) -> Path:
    """Return the file of a relative name in a folder."""
    windows = PureWindowsPath(name)  # it has all separators of both
    if not name or windows.drive or windows.root or ".." in windows.parts:
        raise UserError(f"{name!r} is not the name of a file inside the export")
    return folder / name


WORDS = {STOP: "stop", FORWARD: "forward", LEFT: "left", RIGHT: "right"}
LONGEST_RUN = 3


class Run(NamedTuple):
    """Equal actions in a row.

    Attributes:
        start: Number of the first step.
        action: The action.
        length: Number of actions.
    """

    start: int
    action: int
    length: int


def runs(steps: Iterable[Step], longest: int = LONGEST_RUN) -> list[Run]:
    """Divide a walk into runs of equal labels of at most `longest` steps.

    A run ends where a policy takes another action than its label.
    """
    found: list[Run] = []
    follows = False
    for number, step in enumerate(steps):
        last = found[-1] if found else None
        equal = last is not None and last.action == step.label and last.length < longest
        if last is not None and equal and follows:
            found[-1] = last._replace(length=last.length + 1)
        else:
            found.append(Run(number, step.label, 1))
        follows = step.taken == step.label
    return found


def stopping(walks: Iterable[RecordedWalk]) -> Iterator[tuple[int, RecordedWalk]]:
    """Yield the walks that stop, with their numbers from 0.

    Truncated walks have no stop, which the formats assume at the end; the manifest counts them.
    `next.done` of LeRobot would mark their last frame as the end of the task.
    """
    return enumerate(walk for walk in walks if walk.stopped)
