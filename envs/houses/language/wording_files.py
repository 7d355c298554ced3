"""Read the wording of the languages and the habits of their annotators (TOML)."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parent / "wording"


@cache
def load_wording(name: str) -> dict[str, Any]:
    """Read the patterns, connectives and further words of a language, or "annotators"."""
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
