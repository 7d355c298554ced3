"""Fonts for images: matplotlib's DejaVu Sans, and system fonts for other scripts."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont, features

from clipnav.storage.errors import UserError

# Code point ranges of scripts whose letters change with their neighbours: Hebrew to Tibetan and
# Burmese, and Khmer. Pillow shapes them with libraqm only, which requires the system's libfribidi.
_JOINED = ((0x0590, 0x10FF), (0x1780, 0x17FF))
_HINT = "install one (Debian, Ubuntu: apt-get install fonts-noto-core)"


class MissingFontError(UserError):
    """No font of this machine can draw a text; the message names what to install."""


def font_for(text: str, size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return a font that has all letters of a text.

    Args:
        size: Height of the letters in pixels.
    """
    return _load_font(_path(frozenset(text), bold), size)


@lru_cache(maxsize=256)
def _load_font(path: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@lru_cache(maxsize=4096)
def _path(text: frozenset[str], bold: bool) -> Path:
    import matplotlib

    # Spaces, joiners and other invisible characters require no font.
    letters = {c for c in text if not c.isspace() and unicodedata.category(c)[0] != "C"}
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    own = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    if letters <= _letters(own):
        return own
    if any(low <= ord(c) <= high for c in letters for low, high in _JOINED):
        if not features.check("raqm"):
            raise MissingFontError(
                f"the script of {_character_name(letters)} requires text shaping with libfribidi; "
                "install it (Debian, Ubuntu: apt-get install libfribidi0; macOS: brew install "
                "fribidi)"
            )
    for path in _system_fonts():
        if letters <= _letters(path):
            return path
    missing = letters - _letters(own)
    raise MissingFontError(f"no font on this machine has {_character_name(missing)}; {_HINT}")


def _character_name(letters: set[str]) -> str:
    letter = min(letters, key=lambda c: (ord(c) < 128, c))
    return f"'{letter}' ({unicodedata.name(letter, hex(ord(letter)))})"


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[Path, ...]:
    """Return the fonts of this machine, upright fonts of regular weight first."""
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
        return frozenset(map(chr, FT2Font(str(path)).get_charmap()))
    except (RuntimeError, OSError):  # bitmap fonts and damaged files
        return frozenset()
