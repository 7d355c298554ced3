"""Fixtures for the tests of the continuous environments."""

import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def continuous_golden(shared) -> dict:
    """Golden cases of continuous navigation.

    The environment variable CLIPNAV_GOLDEN_SYSTEMS names another folder.
    """
    folder = Path(os.environ.get("CLIPNAV_GOLDEN_SYSTEMS") or shared / "golden" / "systems")
    path = folder / "ce.json"
    if not path.is_file():
        pytest.skip(f"golden cases not found: {path}; set CLIPNAV_GOLDEN_SYSTEMS")
    return json.loads(path.read_text(encoding="utf-8"))
