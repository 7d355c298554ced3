"""Reads the lexicons: nouns, rooms, colours, materials and verbs of each language as JSON."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

LEXICON_DIR = Path(__file__).resolve().parent / "lexicons"


@cache
def load_lexicon(name: str) -> dict[str, Any]:
    """Lexicon of "english", "hindi" or "telugu".

    Keys of "nouns", "rooms", "colours" and "materials" are plain English and the same in all; each
    entry lists the ways to say it, with the forms that the language's grammar asks for. In Hindi
    "of" is what stands before a noun in the genitive: "किताबों" of "अलमारी", the cupboard of books.
    """
    return json.loads((LEXICON_DIR / f"{name}.json").read_text(encoding="utf-8"))
