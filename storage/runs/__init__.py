"""Folders of training runs, whatever is trained: settings, weights, log, and going on."""

from pathlib import Path


def free_folder(folder: Path) -> Path:
    """The folder itself if there is none of that name, else with the next free number."""
    free, number = folder, 2
    while free.exists():
        free, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return free
