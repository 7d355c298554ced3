"""Plain-text tables."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Return the lines of a table with left-aligned first columns and right-aligned others."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [
                *map(str.ljust, row[:texts], widths[:texts]),
                *map(str.rjust, row[texts:], widths[texts:]),
            ]
        ).rstrip()
        for row in rows
    )
