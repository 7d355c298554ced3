"""Command lines that go on with a run."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from training.run_folder import has_learnt
from training.settings import Config, check_same_run, read_config


def parse_resumed(
    kind: type[Config],
    run: Path,
    arguments: Sequence[str],
    may_change: frozenset[str],
    description: str | None = None,
) -> Config:
    """Settings of a run to go on with: its own, with what a command line may change.

    A run that was killed before it saved anything begins again, in its folder.

    Args:
        kind: Settings of which kind of training.
        run: Its folder.
        arguments: Of the command line.
        may_change: Names of settings that may change when a run goes on.
        description: What --help begins with.

    Raises:
        FileNotFoundError: The folder is no run.
        ValueError: The command line changes others; names both values.
    """
    config: Any = tyro.cli(
        kind, description=description, default=read_config(run, kind), args=list(arguments)
    )
    remedy = "leave the flags out to go on with the run, or start another one without --resume"
    check_same_run(run, config, may_change, "the command line", remedy)
    if has_learnt(run):
        return config
    return dataclasses.replace(config, output=run, resume=None)
