"""Fonts for pictures: DejaVu Sans, which matplotlib brings, and for other scripts the machine's."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont, features

# First and last letters of scripts whose letters change with their neighbours: Hebrew to Tibetan
# and Burmese, and Khmer. Pillow joins them with libraqm alone, which needs the system's libfribidi.
_JOINED = ((0x0590, 0x10FF), (0x1780, 0x17FF))
_REMEDY = "install one (Debian, Ubuntu: apt-get install fonts-noto-core)"


class MissingFontError(ValueError):
    """This machine cannot draw a text; the message says why and what to install."""


def font_for(text: str, size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return a font that has all letters of a text.

    Args:
        text: What is to be drawn.
        size: Height of the letters in pixels.
        bold: Whether letters that DejaVu Sans has are bold.

    Raises:
        MissingFontError: No font of this machine has the letters, or Pillow cannot join them.
    """
    return _loaded(_path(frozenset(text), bold), size)


@lru_cache(maxsize=256)
def _loaded(path: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@lru_cache(maxsize=4096)
def _path(text: frozenset[str], bold: bool) -> Path:
    # Blanks, joiners and other invisible characters need no font.
    letters = {c for c in text if not c.isspace() and unicodedata.category(c)[0] != "C"}
    own = _dejavu(bold)
    if letters <= _letters(own):
        return own
    if any(low <= ord(c) <= high for c in letters for low, high in _JOINED):
        if not features.check("raqm"):
            raise MissingFontError(
                f"the letters of {_named(letters)} must be joined, which Pillow does with "
                "libfribidi alone; install it (Debian, Ubuntu: apt-get install libfribidi0)"
            )
    for path in _system_fonts():
        if letters <= _letters(path):
            return path
    missing = letters - _letters(own)
    raise MissingFontError(f"no font on this machine has {_named(missing)}; {_REMEDY}")


def _named(letters: set[str]) -> str:
    letter = min(letters, key=lambda c: (ord(c) < 128, c))
    return f"'{letter}' ({unicodedata.name(letter, hex(ord(letter)))})"


def _dejavu(bold: bool) -> Path:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[Path, ...]:
    """Fonts of this machine, upright and of usual weight first."""
    from matplotlib.font_manager import findSystemFonts

    def order(path: Path) -> tuple[bool, bool, str]:
        name = path.stem.lower()
        styled = any(word in name for word in ("bold", "italic", "oblique", "light", "mono"))
        return styled, "sans" not in name and "lohit" not in name, name

    return tuple(sorted(map(Path, findSystemFonts()), key=order))


@lru_cache(maxsize=1024)
def _letters(path: Path) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (RuntimeError, OSError):  # bitmaps and damaged files
        return frozenset()
