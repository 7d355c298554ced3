"""Writers of films, frame by frame: GIF and H.264 in mp4."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import GifImagePlugin, Image

from storage.extras import check_extra
from viewer.films.canvas import NAMED

KINDS = (".gif", ".mp4")
_COLOURS = 255  # the 256th is transparent, for unchanged pixels
_NEAR = 11  # maximum colour difference (of 255) that is accepted in moving frames


class Writer(Protocol):
    """Writer of frames (H, W, 3) uint8."""

    def add(self, frame: np.ndarray) -> None:
        """Write a frame; a repeated array extends the duration of the last frame."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def check_kind(path: Path) -> str:
    """Return the suffix of a film's file.

    Raises:
        ValueError: It is not one of `KINDS`.
        ModuleNotFoundError: FFmpeg for mp4 is not installed; the message contains the remedy.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"{path}: films are .gif or .mp4")
    if kind == ".mp4":
        check_extra("imageio_ffmpeg", "video", f"{path}: writing mp4")
    return kind


class Mp4:
    """Writer of H.264 with 4:2:0 chroma subsampling, which every player supports, with FFmpeg.

    Args:
        path: File to write.
        size: Width and height of the frames, both even.
        rate: Frames per second.
    """

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
            # With the index first, players start before the whole file is loaded.
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
    """Writer of a GIF with one palette; only the changed part of each frame is written.

    Args:
        path: File to write.
        samples: Frames from which the palette is computed.
        rate: Frames per second.
    """

    def __init__(self, path: Path, samples: Sequence[np.ndarray], rate: float) -> None:
        self._palette = _palette(samples)
        self._file = path.open("wb")
        self._rate = rate
        # A frame is written once its duration is known.
        self._waiting: np.ndarray | None = None
        self._repeats = 0  # number of frames for which the waiting frame is shown
        self._taken = 0  # number of frames so far
        self._written = 0  # hundredths of a second written so far
        self._shown: np.ndarray | None = None  # palette indices of the last written frame

    def add(self, frame: np.ndarray) -> None:
        """Add a frame and write the previous one."""
        if frame is not self._waiting:
            self._write_waiting()
            self._waiting, self._repeats = frame, 0
        self._repeats += 1
        self._taken += 1

    def close(self) -> None:
        """Write the last frame and finish the file."""
        with self._file:
            self._write_waiting()
            self._file.write(b";")

    def _write_waiting(self) -> None:
        if self._waiting is None:
            return
        image = Image.fromarray(self._waiting)
        numbered = image.quantize(palette=self._palette, dither=Image.Dither.NONE)
        numbers = np.asarray(numbered)
        if self._repeats == 1:
            numbers = _smeared(self._waiting, numbers, self._palette)
        offset = (0, 0)
        if self._shown is None:
            self._file.writelines(GifImagePlugin.getheader(numbered, info={"loop": 0})[0])
            piece = numbers
        else:
            piece, offset = _changed(self._shown, numbers)
        self._shown = numbers
        # GIF has hundredths of a second; rounding the end time keeps errors from accumulating.
        end = round(100 * self._taken / self._rate)
        seconds = {"duration": 10 * (end - self._written)}
        self._written = end
        drawn = Image.fromarray(piece)
        drawn.putpalette(self._palette.getpalette() or [])
        self._file.writelines(
            GifImagePlugin.getdata(drawn, offset, **seconds, transparency=_COLOURS, disposal=1)
        )


def _changed(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the changed part of a frame, transparent elsewhere, and its top left corner."""
    changed = before != now
    if not changed.any():
        return np.full((1, 1), _COLOURS, np.uint8), (0, 0)
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    piece = np.where(changed[box], now[box], np.uint8(_COLOURS))
    return piece, (int(columns[0]), int(rows[0]))


def _smeared(frame: np.ndarray, numbers: np.ndarray, palette: Image.Image) -> np.ndarray:
    """Repeat the colour to the left where it is similar, because long runs halve the file size."""
    colours = np.array(palette.getpalette(), np.int16).reshape(-1, 3)
    # Transposed, so that columns are contiguous in memory.
    wanted = np.ascontiguousarray(frame.transpose(1, 0, 2), np.int16)
    found = np.ascontiguousarray(numbers.T)
    for column in range(1, len(found)):
        left = found[column - 1]
        near = (abs(wanted[column] - colours[left]) < _NEAR).all(1)
        np.copyto(found[column], left, where=near)
    return np.ascontiguousarray(found.T)


def _palette(samples: Iterable[np.ndarray]) -> Image.Image:
    """Compute the palette of a film from samples of its frames, plus a transparent colour."""
    small = [np.asarray(Image.fromarray(frame).reduce(2)) for frame in samples]
    count = _COLOURS - len(NAMED)
    found = Image.fromarray(np.concatenate(small)).quantize(count, Image.Quantize.MEDIANCUT)
    colours = [*(part for colour in NAMED for part in colour), *(found.getpalette() or [])]
    colours = colours[: 3 * _COLOURS]
    colours += colours[-3:] * (256 - len(colours) // 3)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette
