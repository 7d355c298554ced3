"""Bounds of what a file may make its reader allocate, checked on declared sizes beforehand.

A file of 1 MB can expand to 1 GB (DEFLATE reaches 1032 : 1), names of one data set can repeat it
without end, and an image of 34 bytes can declare a canvas of a gigabyte. Data sets compress by a
factor of 2 to 20. A file may therefore expand to at most `MOST_EXPANSION` times its size. Any file
may expand to `ALWAYS_ALLOWED` bytes.
"""

from clipnav.storage.errors import UserError

MOST_EXPANSION = 100
ALWAYS_ALLOWED = 1 << 24
# 268 MB as RGB; the largest images of Matterport3D, COCO and Flickr30K have 1.3 million pixels.
_MOST_PIXELS = 89_478_485


class ExpansionError(UserError):
    """A file exceeds a limit of its size."""


def most_expanded(size: int) -> int:
    """Return the number of bytes to which a file of `size` bytes may expand."""
    return max(ALWAYS_ALLOWED, MOST_EXPANSION * size)


def check_expansion(declared: int, size: int) -> None:
    """Refuse content of `declared` bytes in a file of `size` bytes."""
    if declared > most_expanded(size):
        raise ExpansionError(
            f"it would expand to {declared:,} bytes, more than {most_expanded(size):,}, the limit "
            "for a file of its size"
        )


def check_pixels(width: int, height: int) -> None:
    """Refuse an image that is too large to decode."""
    if width * height > _MOST_PIXELS:
        raise ExpansionError(f"{width} x {height} pixels, more than {_MOST_PIXELS:,}")


def check_webp(start: bytes) -> None:
    """Refuse an image in WebP by its first 30 bytes; Pillow allocates its canvas when it opens it.

    https://developers.google.com/speed/webp/docs/riff_container; a VP8L stream has bit fields.
    """
    if start[:4] != b"RIFF" or start[8:12] != b"WEBP":
        return

    def number(offset: int, length: int) -> int:
        return int.from_bytes(start[offset : offset + length], "little")

    if start[12:16] == b"VP8X":
        check_pixels(number(24, 3) + 1, number(27, 3) + 1)
    elif start[12:16] == b"VP8L":
        bits = number(21, 4)
        check_pixels((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    else:
        check_pixels(number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF)
