"""Step-by-step check of the Python and the graphics that habitat-sim needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clipnav.envs.habitat.client import HabitatRequestError, HabitatServer
from clipnav.envs.habitat.interpreter import habitat_python
from clipnav.storage.errors import UserError


class Check(NamedTuple):
    """Result of one step.

    Attributes:
        name: What was checked.
        is_ok: Whether it works.
        text: Versions, or the reason and the remedy.
    """

    name: str
    is_ok: bool
    text: str


def check_habitat(
    python: str | Path | None = None, gpu_device_id: int | None = None
) -> Iterator[Check]:
    """Yield the results of the steps; the first one that fails is the last one."""
    try:
        path = habitat_python(python)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        yield Check("Python", False, str(error))
        return
    yield Check("Python", True, str(path))
    with HabitatServer(path, gpu_device_id) as server:
        for name, step in (
            ("habitat-sim", _versions),
            ("interface", _names),
            ("drawing", _drawing),
        ):
            try:
                result = Check(name, True, step(server))
            except (OSError, ValueError, ModuleNotFoundError, HabitatRequestError) as error:
                result = Check(name, False, str(error))
            yield result
            if not result.is_ok:
                return


def _versions(server: HabitatServer) -> str:
    versions = server.call("versions")
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    same = " (the number that 0.3.4 reports too)" if versions["habitat_sim"] == "0.3.3" else ""
    return text + same


def _names(server: HabitatServer) -> str:
    if missing := server.call("missing"):
        raise UserError(f"this habitat-sim lacks {', '.join(missing)}; install 0.2.2 to 0.3.4")
    return "complete"


def _drawing(server: HabitatServer) -> str:
    server.call("probe")
    return "an empty scene was drawn"
