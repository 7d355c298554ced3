"""Video files of a LeRobotDataset: many episodes in each, one frame a second."""

from pathlib import Path

import numpy as np

from clipnav.agents.demonstrations.formats.lerobot_features import (
    FPS,
    RGB,
    VIDEO_FILE_MB,
    VIDEO_PATH,
    file_numbers,
)
from clipnav.agents.demonstrations.formats.videos import VideoWriter


class VideoFiles:
    """Writer of video files.

    Args:
        folder: Folder of the dataset.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = 0
        self._writer: VideoWriter | None = None

    def add(self, pictures: list[np.ndarray]) -> tuple[int, float, float]:
        """Append an episode; return its file, and its start and end in seconds."""
        if self._writer is not None and self._writer.bytes > VIDEO_FILE_MB << 20:
            self._writer.close()
            self._writer = None
            self._file += 1
        if self._writer is None:
            name = VIDEO_PATH.format(video_key=RGB, **file_numbers(self._file))
            height, width = pictures[0].shape[:2]
            self._writer = VideoWriter(self._folder / name, (height, width), FPS)
        start = self._writer.frames
        self._writer.add(pictures)
        return self._file, start / FPS, self._writer.frames / FPS

    def close(self) -> None:
        """Complete the last file."""
        if self._writer is not None:
            self._writer.close()
