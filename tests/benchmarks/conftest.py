"""Fixture that runs benchmarks as commands with --quick."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.launching import ROOT, Launcher


@pytest.fixture
def figures_of(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a benchmark and returns its figures by name."""

    def run(name: str, *arguments: str) -> dict[str, Any]:
        path = tmp_path / "figures.json"
        log = tmp_path / "log.txt"
        words = ["--quick", "--json", str(path), *arguments]
        monkeypatch.chdir(ROOT)
        process = launcher.start(ROOT / "benchmarks" / f"{name}.py", words, {}, log)
        assert launcher.wait(process) == 0, log.read_text()
        (line,) = (line for line in log.read_text().splitlines() if line.startswith('{"benchmark'))
        result = json.loads(line)
        assert result["benchmark"] == name
        assert json.loads(path.read_text("utf-8")) == result
        return result["figures"]

    return run
