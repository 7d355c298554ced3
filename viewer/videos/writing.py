"""Writers of frames one by one, as WebP, APNG, GIF or as H.264 in mp4."""

from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import GifImagePlugin, Image

from clipnav.envs.drawing.canvas import NAMED
from clipnav.storage.errors import UserError
from clipnav.storage.extras import check_extra

# Width and height by default. Pictures in a row compress much less than mp4.
_SMALL = 960, 540
DEFAULT_SIZES = {".webp": _SMALL, ".apng": _SMALL, ".gif": _SMALL, ".mp4": (1280, 720)}
KINDS = tuple(DEFAULT_SIZES)
_COLOURS = 255  # of a frame, pictures and panels together
_QUALITY = 80  # of WebP, 0..100
_TRANSPARENT = 255  # palette index of unchanged pixels
# Largest error of a colour component, of 255, in frames that are shown once (while the camera
# moves) and in frames that stay. Larger errors show as streaks on walls; smaller ones make larger
# files: at (13, 7) a video of 20 moves has 0.7 times the size of an exact one.
_MOVING_ERROR, _STILL_ERROR = 13, 7


class VideoWriter(Protocol):
    """Writer of frames (H, W, 3) uint8."""

    def add(self, frame: np.ndarray) -> None:
        """Write a frame; adding the same array again extends its duration."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def check_kind(path: Path) -> str:
    """Return the suffix of a video's file."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise UserError(f"{path}: not a video; name a file {', '.join(KINDS[:-1])} or {KINDS[-1]}")
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
            # The index is written first, so that a browser plays the video while it loads.
            output_params=["-movflags", "+faststart"],
        )
        self._frames.send(None)

    def add(self, frame: np.ndarray) -> None:
        """Write a frame."""
        self._frames.send(np.ascontiguousarray(frame))

    def close(self) -> None:
        """Finish the file and wait for FFmpeg."""
        self._frames.close()


class Animation:
    """Writes WebP or APNG in true colours; all frames are in memory until the end."""

    def __init__(self, path: Path, kind: str, rate: float) -> None:
        self._path, self._kind, self._rate = path, kind, rate
        self._frames: list[Image.Image] = []
        self._last: np.ndarray | None = None
        self._ends: list[int] = []  # milliseconds from the start to the end of each frame
        self._added = 0

    def add(self, frame: np.ndarray) -> None:
        """Add a frame."""
        self._added += 1
        end = round(1000 * self._added / self._rate)
        if frame is self._last:
            self._ends[-1] = end
            return
        self._last = frame
        self._frames.append(Image.fromarray(frame))
        self._ends.append(end)

    def close(self) -> None:
        """Write the file."""
        first, *others = self._frames
        options: dict = {"save_all": True, "append_images": others, "loop": 0}
        options["duration"] = np.diff(self._ends, prepend=0).tolist()
        if self._kind == ".webp":
            first.save(self._path, "WEBP", quality=_QUALITY, method=4, **options)
        else:
            first.save(self._path, "PNG", optimize=True, **options)


class Gif:
    """Writes a GIF; each frame has a palette and contains only the pixels that have changed."""

    def __init__(self, path: Path, rate: float) -> None:
        self._file = path.open("wb")
        self._rate = rate
        # A frame is written when its duration is known.
        self._pending: np.ndarray | None = None
        self._repeats = 0  # of the pending frame
        self._added = 0  # frames so far
        self._written = 0  # hundredths of a second so far
        self._shown: np.ndarray | None = None  # colours (H, W, 3) int16 on the screen
        self._source = np.zeros(0, np.uint8)  # the colours that they stand for

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
        frame = self._pending
        palette = _palette(frame)
        colours = np.array(palette.getpalette(), np.int16).reshape(-1, 3)
        quantized = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        indices = self._simplified(frame, np.asarray(quantized), colours)
        if self._shown is None:
            self._file.writelines(GifImagePlugin.getheader(quantized, info={"loop": 0})[0])
            self._shown, self._source = colours[indices], frame
        kept = indices == _TRANSPARENT
        self._shown = np.where(kept[..., None], self._shown, colours[indices])
        self._source = np.where(kept[..., None], self._source, frame)
        changed, offset = _changed_box(indices)
        # Durations are whole hundredths of a second; rounding errors must not add up.
        end = round(100 * self._added / self._rate)
        duration = 10 * (end - self._written)
        self._written = end
        drawn = Image.fromarray(changed)
        drawn.putpalette(palette.getpalette() or [])
        options = {"duration": duration, "transparency": _TRANSPARENT, "disposal": 1}
        options["include_color_table"] = True
        self._file.writelines(GifImagePlugin.getdata(drawn, offset, **options))

    def _simplified(
        self, frame: np.ndarray, indices: np.ndarray, colours: np.ndarray
    ) -> np.ndarray:
        """Return indices that compress better: keep what is on the screen, repeat similar colours.

        GIF's LZW compression stores long runs of one index in few bytes.
        """
        error = _MOVING_ERROR if self._repeats == 1 else _STILL_ERROR
        # Transposed, so that each column is contiguous in memory.
        wanted = np.ascontiguousarray(frame.transpose(1, 0, 2), np.int16)
        columns = np.array(indices.T, order="C")
        for number in range(1, len(columns)):
            left = columns[number - 1]
            same = (abs(wanted[number] - colours[left]) < error).all(1)
            np.copyto(columns[number], left, where=same)
        simple = np.ascontiguousarray(columns.T)
        if self._shown is None:
            return simple
        same = (abs(frame - self._shown) < error).all(-1) | (frame == self._source).all(-1)
        return np.where(same, np.uint8(_TRANSPARENT), simple)


def _changed_box(indices: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the smallest box that is not transparent, and its corner."""
    changed = indices != _TRANSPARENT
    if not changed.any():
        return np.full((1, 1), _TRANSPARENT, np.uint8), (0, 0)
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return indices[box], (int(columns[0]), int(rows[0]))


def _palette(frame: np.ndarray) -> Image.Image:
    """Return the palette of a frame: colours of the panels, and of the frame."""
    small = Image.fromarray(frame).reduce(2)
    quantized = small.quantize(_COLOURS - len(NAMED), Image.Quantize.MEDIANCUT)
    colours = [*(part for colour in NAMED for part in colour), *(quantized.getpalette() or [])]
    colours = colours[: 3 * _COLOURS]
    colours += colours[-3:] * (256 - len(colours) // 3)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette
