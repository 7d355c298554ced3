"""Parsing of the arguments of a command."""

import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import docstring_parser  # of tyro
import tyro

Settings = TypeVar("Settings")


def parse(
    settings: type[Settings], module: str, description: str | None, arguments: Sequence[str]
) -> Settings:
    """Return the settings of a command.

    Args:
        settings: Dataclass of the settings; docstrings of its fields are the help texts.
        module: `__name__` of the command's module, which has the name of the command.
        description: First lines of --help.
        arguments: Arguments after the name of the command.
    """
    name = module.rpartition(".")[2].replace("_", "-")
    with _joined_lines():
        return tyro.cli(settings, prog=f"clipnav {name}", description=description, args=arguments)


@contextmanager
def _joined_lines() -> Iterator[None]:
    """Join the lines of each paragraph of the docstrings of fields within the block.

    tyro takes them from docstring_parser with their indentation, and therefore keeps the line
    breaks of the source, which are ragged in a help text of another width.
    """
    original = docstring_parser.parse_from_object

    @functools.wraps(original)
    def joined(*arguments: Any) -> docstring_parser.Docstring:
        parsed = original(*arguments)
        for param in parsed.params:
            if param.description:
                param.description = re.sub(r"(?<!\n)\n[ \t]*(?=\S)", " ", param.description)
        return parsed

    docstring_parser.parse_from_object = joined
    try:
        yield
    finally:
        docstring_parser.parse_from_object = original
