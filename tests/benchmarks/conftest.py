"""Fixture that runs benchmarks as commands with --quick."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def figures_of() -> Callable[..., dict[str, Any]]:
    """Return a function that runs a benchmark and returns its figures by name."""

    def run(name: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, f"benchmarks/{name}.py", "--quick", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        assert result["benchmark"] == name
        return result["figures"]

    return run
