"""Command lines of trainings: flags that are read first, and --resume."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from training.run_folder import has_saved
from training.settings import Config, check_same_run, read_config


def early_value(arguments: Sequence[str], name: str) -> str | None:
    """Return the value of a flag that determines the defaults of others, or None.

    Args:
        arguments: Arguments of the command line.
        name: Name of the flag, without hyphens.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # nargs="?": the parser of all flags reports a missing value.
    parser.add_argument(f"--{name}", nargs="?")
    return getattr(parser.parse_known_args(list(arguments))[0], name)


def parse_resumed(
    kind: type[Config],
    run: Path,
    arguments: Sequence[str],
    may_change: frozenset[str],
    description: str | None = None,
) -> Config:
    """Return the settings of a run to resume, with the permitted changes of a command line.

    A run that was killed before it saved anything starts again in its folder.

    Args:
        kind: Settings dataclass of the training.
        run: Folder of the run.
        arguments: Arguments of the command line.
        may_change: Names of settings that may change when a run is resumed.
        description: First lines of --help.

    Raises:
        FileNotFoundError: The folder is not a run.
        ValueError: The command line changes other settings; the message names both values.
    """
    config: Any = tyro.cli(
        kind,
        prog=getattr(kind, "COMMAND", None),
        description=description,
        default=read_config(run, kind),
        args=list(arguments),
    )
    remedy = "omit these flags to resume the run, or start another one without --resume"
    check_same_run(run, config, may_change, "the command line", remedy)
    if has_saved(run):
        return config
    return dataclasses.replace(config, output=run, resume=None)
