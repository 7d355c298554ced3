"""Writers of frames one by one, as GIF or as H.264 in mp4."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import GifImagePlugin, Image

from clipnav.envs.drawing.canvas import NAMED
from clipnav.storage.errors import UserError
from clipnav.storage.extras import check_extra

# Width and height by default. GIFs are smaller, because they compress much less than mp4.
DEFAULT_SIZES = {".gif": (960, 540), ".mp4": (1280, 720)}
KINDS = tuple(DEFAULT_SIZES)
_COLOURS = 128  # of the pictures and panels together
_TRANSPARENT = 255  # palette index of unchanged pixels
# Largest error of a colour component, of 255, in frames that are shown once (while the camera
# moves) and in frames that stay. Larger errors show as streaks on walls; smaller ones make larger
# files: at (13, 7) a film of 20 moves has 0.7 times the size of an exact one.
_MOVING_ERROR, _STILL_ERROR = 13, 7


class Writer(Protocol):
    """Writer of frames (H, W, 3) uint8."""

    def add(self, frame: np.ndarray) -> None:
        """Write a frame; adding the same array again extends its duration."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def check_kind(path: Path) -> str:
    """Return the suffix of a film's file."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise UserError(f"{path}: not a film; name a .gif or .mp4 file")
    if kind == ".mp4":
        check_extra("imageio_ffmpeg", "video", f"{path}: writing mp4")
    return kind


class Mp4:
    """Writes H.264 with 4:2:0 chroma subsampling, which all players support, with FFmpeg."""

    def __init__(self, path: Path, size: tuple[int, int], rate: int) -> None:
        import imageio_ffmpeg

        self._frames = imageio_ffmpeg.write_frames(
            str(path),
            size,
            fps=rate,
            codec="libx264",
            pix_fmt_out="yuv420p",
            quality=6,  # -crf 20
            macro_block_size=2,
            # The index is written first, so that a browser plays the film while it loads.
            output_params=["-movflags", "+faststart"],
        )
        self._frames.send(None)

    def add(self, frame: np.ndarray) -> None:
        """Write a frame."""
        self._frames.send(np.ascontiguousarray(frame))

    def close(self) -> None:
        """Finish the file and wait for FFmpeg."""
        self._frames.close()


class Gif:
    """Writes a GIF with one palette; each frame contains only the pixels that have changed."""

    def __init__(self, path: Path, samples: Sequence[np.ndarray], rate: float) -> None:
        self._palette = _palette(samples)
        self._colours = np.array(self._palette.getpalette(), np.int16).reshape(-1, 3)
        self._file = path.open("wb")
        self._rate = rate
        # A frame is written when its duration is known.
        self._pending: np.ndarray | None = None
        self._repeats = 0  # of the pending frame
        self._added = 0  # frames so far
        self._written = 0  # hundredths of a second so far
        self._shown: np.ndarray | None = None  # palette indices of the last frame written

    def add(self, frame: np.ndarray) -> None:
        """Add a frame; the previous one is written."""
        if frame is not self._pending:
            self._write_pending()
            self._pending, self._repeats = frame, 0
        self._repeats += 1
        self._added += 1

    def close(self) -> None:
        """Write the last frame and finish the file."""
        with self._file:
            self._write_pending()
            self._file.write(b";")

    def _write_pending(self) -> None:
        if self._pending is None:
            return
        image = Image.fromarray(self._pending)
        quantized = image.quantize(palette=self._palette, dither=Image.Dither.NONE)
        indices = self._simplified(self._pending, np.asarray(quantized))
        offset = (0, 0)
        if self._shown is None:
            self._file.writelines(GifImagePlugin.getheader(quantized, info={"loop": 0})[0])
            changed = indices
        else:
            changed, offset = _changed_box(self._shown, indices)
        self._shown = indices
        # Durations are whole hundredths of a second; rounding errors must not add up.
        end = round(100 * self._added / self._rate)
        duration = 10 * (end - self._written)
        self._written = end
        drawn = Image.fromarray(changed)
        drawn.putpalette(self._palette.getpalette() or [])
        options = {"duration": duration, "transparency": _TRANSPARENT, "disposal": 1}
        self._file.writelines(GifImagePlugin.getdata(drawn, offset, **options))

    def _simplified(self, frame: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return indices that compress better: repeat similar colours in time and to the right.

        GIF's LZW compression stores long runs of one index in few bytes.
        """
        error = _MOVING_ERROR if self._repeats == 1 else _STILL_ERROR
        if self._shown is not None:
            same = (abs(frame - self._colours[self._shown]) < error).all(-1)
            indices = np.where(same, self._shown, indices)
        # Transposed, so that each column is contiguous in memory.
        wanted = np.ascontiguousarray(frame.transpose(1, 0, 2), np.int16)
        columns = np.array(indices.T, order="C")
        for number in range(1, len(columns)):
            left = columns[number - 1]
            same = (abs(wanted[number] - self._colours[left]) < error).all(1)
            np.copyto(columns[number], left, where=same)
        return np.ascontiguousarray(columns.T)


def _changed_box(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the smallest box with all changes, transparent where unchanged, and its corner."""
    changed = before != now
    if not changed.any():
        return np.full((1, 1), _TRANSPARENT, np.uint8), (0, 0)
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    content = np.where(changed[box], now[box], np.uint8(_TRANSPARENT))
    return content, (int(columns[0]), int(rows[0]))


def _palette(samples: Iterable[np.ndarray]) -> Image.Image:
    """Return the palette of a film: colours of the panels, and of samples of its frames."""
    small = [np.asarray(Image.fromarray(frame).reduce(2)) for frame in samples]
    count = _COLOURS - len(NAMED)
    quantized = Image.fromarray(np.concatenate(small)).quantize(count, Image.Quantize.MEDIANCUT)
    colours = [*(part for colour in NAMED for part in colour), *(quantized.getpalette() or [])]
    colours = colours[: 3 * _COLOURS]
    colours += colours[-3:] * (256 - len(colours) // 3)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette
