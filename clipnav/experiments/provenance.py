"""Commit, date and machine of a measurement."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from clipnav.storage.errors import UserError
from clipnav.storage.processes import usable_cpus

PACKAGES = ("numpy", "torch", "gymnasium")


Machine = dict[str, str | int | float]


def machine() -> Machine:
    """Return the processor, the number of usable cores, the load average, and versions.

    The load is the mean number of running processes in the last minute, this one included; Windows
    does not measure it.
    """
    load = {"load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    return {
        "processor": _processor(),
        "cores": usable_cpus(),
        **load,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, with "+" if tracked files have changed since.

    Pages and records are not counted as changes, because they do not affect figures.

    Raises:
        UserError: The folder is not a git checkout, or git is not installed.
    """
    name = _git(checkout, "rev-parse", "--short", "HEAD")
    changed = _git(
        checkout, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs", ":!*.md"
    )
    return name + ("+" if changed else "")


def today() -> str:
    """Return the date in UTC, YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


def _git(checkout: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", checkout, *arguments], capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"{checkout}: git cannot name the commit of this folder; run clipnav reproduce in a "
            "git checkout of clipnav, with git installed"
        ) from error
    return done.stdout.strip()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line[:10] == "model name"]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
