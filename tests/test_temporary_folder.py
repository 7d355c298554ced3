"""The tests leave nothing in the folder of temporary files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import os, subprocess, sys, tempfile

def test_leaves_folders():
    here = tempfile.mkdtemp()
    program = "import tempfile; print(tempfile.mkdtemp())"
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert os.path.dirname(there) == os.path.dirname(here) == os.environ["TMPDIR"]
"""


@pytest.mark.long
def test_folders_that_tests_leave_are_deleted_at_the_end(tmp_path):
    root = Path(__file__).resolve().parents[1]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = tmp_path / "test_leaving.py"
    path.write_text(TEST)
    arguments = ["-q", "-n", "0", "-p", "tests.conftest", "--rootdir", str(tmp_path), str(path)]
    subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(temporary)},
        check=True,
    )
    assert [entry.name[:10] for entry in temporary.iterdir()] == ["pytest-of-"]
