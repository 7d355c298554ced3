"""Texts of errors that other libraries raise, brought to one line."""

_WIDTH = 240


def in_one_line(error: BaseException) -> str:
    """Kind and text of an error in one line, cut where it is long."""
    text = " ".join(str(error).split())
    if len(text) > _WIDTH:
        text = text[:_WIDTH] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
