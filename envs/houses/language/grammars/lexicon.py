"""Read the lexicons (JSON) and the wording of the languages (TOML)."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

LEXICON_DIR = Path(__file__).resolve().parent / "lexicons"
WORDING_DIR = Path(__file__).resolve().parents[1] / "wording"


@cache
def load_lexicon(name: str) -> dict[str, Any]:
    """Read the lexicon "english", "hindi" or "telugu".

    The keys of "nouns", "rooms", "colours" and "materials" are plain English words, the same in
    all lexicons. Each entry lists synonyms with the forms that the grammar of the language needs.
    In the Hindi lexicon, "of" is the genitive before a noun: "किताबों" with "अलमारी", the cupboard
    of books.
    """
    return json.loads((LEXICON_DIR / f"{name}.json").read_text(encoding="utf-8"))


@cache
def load_wording(name: str) -> dict[str, Any]:
    """Read the patterns, connectives and further words of "english", "hindi" or "telugu"."""
    return tomllib.loads((WORDING_DIR / f"{name}.toml").read_text(encoding="utf-8"))
