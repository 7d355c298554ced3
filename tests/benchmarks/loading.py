"""Loading of benchmarks as modules."""

import runpy
import sys
from typing import Any

from tests.launching import ROOT


def load(name: str) -> dict[str, Any]:
    """Run a benchmark's module and return its names."""
    path = list(sys.path)
    sys.path.append(str(ROOT / "benchmarks"))
    try:
        return runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))
    finally:
        sys.path[:] = path
