"""Text from files and from errors of other libraries, shortened for messages, and short names."""

from collections.abc import Iterable
from pathlib import Path

_ERROR_WIDTH = 240  # characters


def shortened(value: object, most: int = 80) -> str:
    """Return a value as one line of at most `most` characters, to quote it in a message."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def in_one_line(error: BaseException) -> str:
    """Return the type and the text of an error in one line."""
    text = shortened(str(error), _ERROR_WIDTH)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the shortest distinct ends of paths: `a/run` and `b/run`, but `one` and `two`."""
    parts = {path: path.resolve().parts for path in paths}

    def short(path: Path) -> str:
        others = [other for other in parts.values() if other != parts[path]]
        length = 1
        while any(other[-length:] == parts[path][-length:] for other in others):
            length += 1
        return "/".join(parts[path][-length:])

    return {path: short(path) for path in parts}
