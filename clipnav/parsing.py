"""Parsing of the arguments of a command."""

from collections.abc import Sequence
from typing import TypeVar

from clipnav.training.resuming import parse_arguments

Settings = TypeVar("Settings")


def parse(
    settings: type[Settings], module: str, description: str | None, arguments: Sequence[str]
) -> Settings:
    """Return the settings of a command."""
    name = module.rpartition(".")[2].replace("_", "-")
    return parse_arguments(settings, arguments, f"clipnav {name}", description)
