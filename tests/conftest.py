"""Fixtures that every test room shares."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder beside the project with golden outputs and the real navigation graphs."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"golden data not found: {SHARED} is not beside this checkout")
    return SHARED
