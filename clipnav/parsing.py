"""Parsing of the arguments of a command."""

from collections.abc import Sequence
from typing import TypeVar

from clipnav.training.resuming import parse_arguments

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
    return parse_arguments(settings, arguments, f"clipnav {name}", description)
