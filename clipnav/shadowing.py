"""Check that the packages of clipnav are not shadowed by other packages with the same names.

The names `agents`, `envs`, ... are generic: a folder `envs` in the current directory, or a
distribution that also installs `agents`, takes the place of clipnav's package without a warning.
"""

import importlib.util
import sys
from pathlib import Path

PACKAGES = (
    "agents",
    "connectivity",
    "encoders",
    "envs",
    "storage",
    "training",
    "viewer",
    "vl_tasks",
)


class ShadowedPackageError(ImportError):
    """Another package has the name of one of clipnav's packages and is found first."""


def check_packages() -> None:
    """Check that all packages beside clipnav's own folder are the ones that Python imports.

    Raises:
        ShadowedPackageError: Python has imported, or would import, another package.
    """
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        location = _location(name)
        if location is not None and location.parent == home:
            continue
        if location is None:
            raise ShadowedPackageError(
                f"the package {name!r} of clipnav is missing in {home}; install clipnav again",
                name=name,
            )
        when = "was imported before" if name in sys.modules else "hides"
        raise ShadowedPackageError(
            f"{location} {when} clipnav's package {name!r} ({home / name}); rename it, start "
            "Python in another folder, or install clipnav into an environment of its own",
            name=name,
        )


def _location(name: str) -> Path | None:
    """Return the folder of a package, or the file of a module, without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module that was put into sys.modules without a spec
        return Path(getattr(sys.modules[name], "__file__", None) or name).resolve()
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin).resolve() if spec.origin else Path(name).resolve()
