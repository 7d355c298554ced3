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
def figures_of(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a benchmark and returns its figures by name."""

    def run(name: str, *arguments: str) -> dict[str, Any]:
        path = tmp_path / "figures.json"
        command = [sys.executable, f"benchmarks/{name}.py", "--quick", "--json", str(path)]
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        assert result["benchmark"] == name
        assert json.loads(path.read_text("utf-8")) == result
        return result["figures"]

    return run
