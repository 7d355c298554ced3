"""Videos with one frame a second, written and read with PyAV."""

import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.storage.extras import import_extra

EXTRA = "demonstrations"
CODEC, PIXEL_FORMAT = "h264", "yuv420p"
_ENCODER = "libx264"
# A key frame every second frame, as in LeRobot, because trainings read frames in random order.
_OPTIONS = {"crf": "23", "g": "2"}
# Without frames that depend on later ones, so that the first packets are the first frames.
_IN_ORDER = {"bf": "0"}


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
