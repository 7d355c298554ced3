"""Tables of figures as text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Lines of a table, its first columns to the left and the others to the right.

    Args:
        rows: Cells, as many in each row.
        texts: How many columns go to the left.
    """
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
