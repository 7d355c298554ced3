"""Packages of the optional dependencies."""

import importlib
import importlib.util
from typing import Any


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional dependency."""
    check_extra(module, extra, purpose)
    return importlib.import_module(module)


def check_extra(module: str, extra: str, purpose: str) -> None:
    """Check that a module of an optional dependency is installed; see `import_extra`."""
    try:
        is_installed = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that contains the module
        is_installed = False
    if not is_installed:
        raise ModuleNotFoundError(
            f"{purpose} requires the package {module.partition('.')[0]}: "
            f"pip install 'clipnav[{extra}]'",
            name=module,
        )
