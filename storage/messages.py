"""Text from files and from errors of other libraries, shortened for one-line messages."""

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
