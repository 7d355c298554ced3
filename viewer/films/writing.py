"""Writing frames as they come, as GIF or as H.264 in mp4."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import GifImagePlugin, Image

from storage.extras import check_extra
from viewer.films.canvas import NAMED

KINDS = (".gif", ".mp4")
_COLOURS = 255  # and one more for what stays as it was
_NEAR = 11  # of 255, by which colours of moving frames may differ from what they should be


class Writer(Protocol):
    """Takes frames (H, W, 3) uint8 one after the other."""

    def add(self, frame: np.ndarray) -> None:
        """Write a frame; the same array again makes the last one stand longer."""
        ...

    def close(self) -> None:
        """Write the end."""
        ...


def check_kind(path: Path) -> str:
    """Ending of a film's file.

    Raises:
        ValueError: It is none of `KINDS`.
        ModuleNotFoundError: There is no FFmpeg to write an mp4 with; says how to get it.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"{path}: films are .gif or .mp4")
    if kind == ".mp4":
        check_extra("imageio_ffmpeg", "video", f"{path}: writing mp4")
    return kind


class Mp4:
    """Writes H.264 with 4:2:0 colours, which every player shows, through FFmpeg.

    Args:
        path: File to write.
        size: Width and height of the frames, both even.
        rate: Frames a second.
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
            # The index stands first, so that a film plays before all of it has come.
            output_params=["-movflags", "+faststart"],
        )
        self._frames.send(None)

    def add(self, frame: np.ndarray) -> None:
        """Write a frame."""
        self._frames.send(np.ascontiguousarray(frame))

    def close(self) -> None:
        """Write the end and wait for FFmpeg."""
        self._frames.close()


class Gif:
    """Writes a GIF with one palette; only what has changed is written.

    Args:
        path: File to write.
        samples: Frames that the palette is made for.
        rate: Frames a second.
    """

    def __init__(self, path: Path, samples: Sequence[np.ndarray], rate: float) -> None:
        self._palette = _palette(samples)
        self._file = path.open("wb")
        self._rate = rate
        # A frame is written once it is known how long it stands.
        self._waiting: np.ndarray | None = None
        self._stands = 0  # frames for which it does
        self._taken = 0  # frames so far
        self._written = 0  # hundredths of a second so far
        self._shown: np.ndarray | None = None  # numbers of the colours of what was written last

    def add(self, frame: np.ndarray) -> None:
        """Take a frame; the one before it is written."""
        if frame is not self._waiting:
            self._write_waiting()
            self._waiting, self._stands = frame, 0
        self._stands += 1
        self._taken += 1

    def close(self) -> None:
        """Write the last frame and the end."""
        with self._file:
            self._write_waiting()
            self._file.write(b";")

    def _write_waiting(self) -> None:
        if self._waiting is None:
            return
        image = Image.fromarray(self._waiting)
        numbered = image.quantize(palette=self._palette, dither=Image.Dither.NONE)
        numbers = np.asarray(numbered)
        if self._stands == 1:
            numbers = _smeared(self._waiting, numbers, self._palette)
        offset = (0, 0)
        if self._shown is None:
            self._file.writelines(GifImagePlugin.getheader(numbered, info={"loop": 0})[0])
            piece = numbers
        else:
            piece, offset = _changed(self._shown, numbers)
        self._shown = numbers
        # Whole hundredths of a second, without adding up what is rounded.
        end = round(100 * self._taken / self._rate)
        seconds = {"duration": 10 * (end - self._written)}
        self._written = end
        drawn = Image.fromarray(piece)
        drawn.putpalette(self._palette.getpalette() or [])
        self._file.writelines(
            GifImagePlugin.getdata(drawn, offset, **seconds, transparency=_COLOURS, disposal=1)
        )


def _changed(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The piece of a picture that has changed, with nothing where it has not, and its corner."""
    changed = before != now
    if not changed.any():
        return np.full((1, 1), _COLOURS, np.uint8), (0, 0)
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    piece = np.where(changed[box], now[box], np.uint8(_COLOURS))
    return piece, (int(columns[0]), int(rows[0]))


def _smeared(frame: np.ndarray, numbers: np.ndarray, palette: Image.Image) -> np.ndarray:
    """Repeat the colour to the left where it is about right: long runs make half the bytes."""
    colours = np.array(palette.getpalette(), np.int16).reshape(-1, 3)
    # By columns, so that each is one piece of memory.
    wanted = np.ascontiguousarray(frame.transpose(1, 0, 2), np.int16)
    found = np.ascontiguousarray(numbers.T)
    for column in range(1, len(found)):
        left = found[column - 1]
        near = (abs(wanted[column] - colours[left]) < _NEAR).all(1)
        np.copyto(found[column], left, where=near)
    return np.ascontiguousarray(found.T)


def _palette(samples: Iterable[np.ndarray]) -> Image.Image:
    """The colours of a film, found in samples of its frames, and one for nothing at all."""
    small = [np.asarray(Image.fromarray(frame).reduce(2)) for frame in samples]
    count = _COLOURS - len(NAMED)
    found = Image.fromarray(np.concatenate(small)).quantize(count, Image.Quantize.MEDIANCUT)
    colours = [*(part for colour in NAMED for part in colour), *(found.getpalette() or [])]
    colours = colours[: 3 * _COLOURS]
    colours += colours[-3:] * (256 - len(colours) // 3)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette
