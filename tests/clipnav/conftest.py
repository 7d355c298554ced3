"""Fixture that runs commands as a shell does, but in this process."""

import subprocess

import pytest

from clipnav.cli import main


@pytest.fixture
def command(monkeypatch, capsys):
    """Function that runs a command; it returns its exit status and what it prints."""
    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)

    def run(name, *arguments):
        capsys.readouterr()
        message = None
        try:
            status = main([name, *map(str, arguments)])
        except SystemExit as end:
            status, message = end.code, None
            if isinstance(status, str):  # Python prints it
                status, message = 1, status
        printed, reported = capsys.readouterr()
        reported += f"{message}\n" if message else ""
        return subprocess.CompletedProcess([name], status or 0, printed, reported)

    return run
