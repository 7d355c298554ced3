"""Folders of training runs, whatever is trained: settings, weights, log, and going on."""

from pathlib import Path
from typing import Protocol

from training.settings import CONFIG


class Placed(Protocol):
    """Settings of a run that say where its folder is."""

    @property
    def resume(self) -> Path | None:
        """Folder of a run to go on with."""
        ...

    @property
    def output(self) -> Path | None:
        """Folder asked for."""
        ...

    @property
    def run_name(self) -> str:
        """Name of the folder below runs/ where none is asked for."""
        ...


def run_folder(config: Placed) -> Path:
    """Folder of a run: the one to resume, the one asked for, or a free default one.

    Raises:
        FileExistsError: The folder asked for holds a run already.
    """
    if config.resume is not None:
        return config.resume
    if config.output is not None:
        if (config.output / CONFIG).exists():
            raise FileExistsError(
                f"{config.output} holds a run already; go on with it by --resume "
                f"{config.output}, or choose another --output"
            )
        return config.output
    return free_folder(Path("runs") / config.run_name)


def free_folder(folder: Path) -> Path:
    """The folder itself if there is none of that name, else with the next free number."""
    free, number = folder, 2
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free
