"""How threads of torch wait for each other in commands."""

import os

import pytest

from clipnav.cli import main


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, "3000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "passive"}, None),
    ],
)
def test_threads_spin_briefly_unless_the_user_decides(chosen, expected, monkeypatch, capsys):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # restored after the test, also where it is not set
        monkeypatch.delenv(name)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main(["split-questions", "--help"])
    assert os.environ.get("GOMP_SPINCOUNT") == expected
