"""Video files of a LeRobotDataset: many episodes in each, one frame a second."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from agents.demonstrations.formats.lerobot_features import (
    FILES_PER_CHUNK,
    FPS,
    PIXEL_FORMAT,
    RGB,
    VIDEO_FILE_MB,
    VIDEO_PATH,
)
from storage.extras import import_extra

_ENCODER = "libx264"
# A key frame every second frame, as in LeRobot, because trainings read frames in random order.
_OPTIONS = {"crf": "23", "g": "2"}


class VideoFiles:
    """Writer of video files.

    Args:
        folder: Folder of the dataset.
    """

    def __init__(self, folder: Path) -> None:
        self._av = import_extra("av", "lerobot", "--media video")
        self._folder = folder
        self._file = self._frames = self._bytes = 0
        self._container: Any = None
        self._stream: Any = None

    def add(self, pictures: list[np.ndarray]) -> tuple[int, float, float]:
        """Append an episode; return its file, and its start and end in seconds."""
        if self._container is not None and self._bytes > VIDEO_FILE_MB << 20:
            self.close()
            self._file += 1
        if self._container is None:
            self._open(*pictures[0].shape[:2])
        start = self._frames
        for picture in pictures:
            frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = self._frames, Fraction(1, FPS)
            self._write(frame)
            self._frames += 1
        return self._file, start / FPS, self._frames / FPS

    def close(self) -> None:
        """Complete the current file."""
        if self._container is not None:
            self._write(None)
            self._container.close()
            self._container, self._frames, self._bytes = None, 0, 0

    def _open(self, height: int, width: int) -> None:
        chunk, index = divmod(self._file, FILES_PER_CHUNK)
        name = VIDEO_PATH.format(video_key=RGB, chunk_index=chunk, file_index=index)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = self._av.open(str(path), "w")
        self._stream = self._container.add_stream(_ENCODER, rate=FPS, options=_OPTIONS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = PIXEL_FORMAT
        # The bytes of a file depend on the number of threads.
        self._stream.codec_context.thread_count = 1

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._bytes += packet.size
            self._container.mux(packet)
