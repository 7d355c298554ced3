"""Errors that the user can correct, and short texts for their messages."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ERROR_WIDTH = 240  # characters


class UserError(ValueError):
    """Input is wrong; the message names file, record and remedy.

    Commands print the message only. All other exceptions are errors of the program, and keep their
    traceback.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # Python would call the constructor with the message alone, and subclasses have further
        # arguments: a worker process could not report them.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[UserError], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> UserError:
    """Return an error as it was pickled, without calling its constructor."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class NoEffectError(UserError):
    """A given setting has no effect beside the others."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


class UnknownNameError(UserError, KeyError):
    """No object has the given name; the message contains the name and the remedy."""

    __str__ = Exception.__str__  # that of KeyError is the representation of the message


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise panics of a library written in Rust, such as tokenizers, as RuntimeError.

    PyO3 derives its PanicException from BaseException, so that `except Exception` misses it.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(f"the library panicked: {error}") from error


def truncate(value: object, most: int = 80) -> str:
    """Return a value as one line of at most `most` characters, to quote it in a message.

    Control characters are escaped: those of a terminal could hide or forge a message.
    """
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= most else text[: most - 3] + "..."


def pluralise(number: int, noun: str) -> str:
    """Return a number and its noun: "1 episode", "2 episodes"."""
    return f"{number} {noun if number == 1 else noun + 's'}"


def in_one_line(error: BaseException) -> str:
    """Return the text of an error in one line.

    The type precedes a text that is not understood without it: a single word, as in "KeyError:
    'width'", or none at all.
    """
    text, name = truncate(str(error), _ERROR_WIDTH), type(error).__name__
    is_key = isinstance(error, KeyError) and not isinstance(error, UserError)
    if " " in text and not is_key:
        return text
    return f"{name}: {text}" if text else name


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
