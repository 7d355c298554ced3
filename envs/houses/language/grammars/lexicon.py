"""Read the lexicons of the languages (JSON)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_LEXICON_DIR = Path(__file__).resolve().parent / "lexicons"


@cache
def load_lexicon(name: str) -> dict[str, Any]:
    """Read the lexicon "english", "hindi" or "telugu".

    The keys of "nouns", "rooms", "colours" and "materials" are plain English words, the same in
    all lexicons. Each entry lists synonyms with the forms that the grammar of the language needs.
    In the Hindi lexicon, "of" is the genitive before a noun: "किताबों" with "अलमारी", the cupboard
    of books.
    """
    return json.loads((_LEXICON_DIR / f"{name}.json").read_text(encoding="utf-8"))
