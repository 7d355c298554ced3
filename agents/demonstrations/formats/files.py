"""Files that several formats share: lists of records, linked pictures, and videos."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import msgspec
import numpy as np

from clipnav.agents.demonstrations.recording.records import RecordedStep, RecordedWalk
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.extras import import_extra
from clipnav.storage.pictures import PictureError, picture_header
from clipnav.storage.records import RecordError

EXTRA = "demonstrations"
CODEC, PIXEL_FORMAT = "h264", "yuv420p"
_ENCODER = "libx264"
# A key frame every second frame, as in LeRobot, because trainings read frames in random order.
_OPTIONS = {"crf": "23", "g": "2"}
# Without frames that depend on later ones, so that the first packets are the first frames.
_IN_ORDER = {"bf": "0"}
ANNOTATIONS = "annotations.json"
IMAGES = "images"
IMAGE = "<image>"  # marker of a picture in a text
HINT = "export it again with clipnav export-demonstrations"
WORDS = {STOP: "stop", FORWARD: "forward", LEFT: "left", RIGHT: "right"}
LONGEST_RUN = 3


class VideoWriter:
    """Writer of a video file."""

    def __init__(
        self, path: Path, shape: tuple[int, int], fps: int = 1, in_order: bool = False
    ) -> None:
        self._av = import_extra("av", EXTRA, "writing videos")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fps = fps
        self.frames = self.bytes = 0
        self._container: Any = self._av.open(str(path), "w")
        options = {**_OPTIONS, **(_IN_ORDER if in_order else {})}
        self._stream: Any = self._container.add_stream(_ENCODER, rate=fps, options=options)
        self._stream.height, self._stream.width = shape
        self._stream.pix_fmt = PIXEL_FORMAT
        # The bytes of a file depend on the number of threads.
        self._stream.codec_context.thread_count = 1

    def add(self, pictures: Iterable[np.ndarray]) -> None:
        """Append pictures (H, W, 3) uint8."""
        for picture in pictures:
            frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = self.frames, Fraction(1, self._fps)
            self._write(frame)
            self.frames += 1

    def close(self) -> None:
        """Complete the file."""
        self._write(None)
        self._container.close()

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self.bytes += packet.size
            self._container.mux(packet)


def write_beginnings(videos: Mapping[Path, int], pictures: Sequence[np.ndarray]) -> None:
    """Write videos that show the first pictures of a sequence.

    The pictures are encoded once; each video is a copy of the first packets.

    Args:
        pictures: All pictures (H, W, 3) uint8.
    """
    av = import_extra("av", EXTRA, "writing videos")
    height, width = pictures[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.mp4"
        writer = VideoWriter(whole, (height, width), in_order=True)
        writer.add(pictures[: max(videos.values())])
        writer.close()
        for path, count in videos.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with av.open(str(whole)) as source, av.open(str(path), "w") as target:
                stream = target.add_stream_from_template(source.streams.video[0])
                for packet in itertools.islice(source.demux(video=0), count):
                    packet.stream = stream
                    target.mux(packet)


def read_video(path: Path) -> list[np.ndarray]:
    """Return the frames (H, W, 3) uint8 of a video."""
    av = import_extra("av", EXTRA, "reading videos")
    if not path.is_file():
        raise UserError(f"the video {path} is missing")
    try:
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except av.error.FFmpegError as error:
        raise UserError(f"{path}: damaged ({error})") from error


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write records as a JSON array with one record a line, atomically."""
    encode = msgspec.json.Encoder().encode
    with atomic_write(path) as beside, beside.open("wb") as file:
        file.write(b"[")
        for number, record in enumerate(records):
            file.write(b",\n" if number else b"\n")
            file.write(encode(record))
        file.write(b"\n]\n")


@contextmanager
def checked_record(path: Path, number: int, identity: str) -> Iterator[None]:
    """Name the file, the number and the identity of a record in the errors of its checks."""
    try:
        yield
    except ValueError as error:
        raise RecordError(path, number, str(error), HINT, identity) from error


def link_video(walk: RecordedWalk, dataset: str, number: int, pictures: Path, folder: Path) -> str:
    """Link the pictures of a walk in an export; return the name of their folder, its video."""
    video = f"{IMAGES}/{walk.scan}_{dataset}_{number:06d}"
    for index, step in enumerate(walk.steps, start=1):
        link_picture(pictures / step.picture, folder / picture_of(video, index))
    return video


def picture_of(video: str, number: int) -> str:
    """Return the name of a picture of a video, from 1."""
    return f"{video}/rgb/{number:03d}.jpg"


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


class Run(NamedTuple):
    """Equal actions in a row."""

    start: int
    action: int
    length: int


def runs(steps: Iterable[RecordedStep], longest: int = LONGEST_RUN) -> list[Run]:
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
