"""Tokenizers of questions and hypotheses: ours and those of openvqa and mmf."""

import re
from typing import Literal

Tokenizer = Literal["ours", "openvqa", "mmf"]

_OURS = re.compile(r"'s\b|\w+")
_OPENVQA_DROPPED = re.compile(r"[.,'!?\"()*#:;]")
_OPENVQA_SPACE = str.maketrans("-/", "  ")
_MMF_PUNCTUATION = re.compile(r"(\W+)")


def tokenize_sentence(text: str, tokenizer: Tokenizer) -> list[str]:
    """Split a sentence into lower-case words.

    "The dog's T-shirt, red?" becomes
        ours: the, dog, 's, t, shirt, red
        openvqa: the, dogs, t, shirt, red (`vqa_loader.py`: apostrophes and most punctuation marks
            are removed)
        mmf: the, dog, ', s, t, -, shirt, red (`simple_sentence`: sequences of punctuation marks
            other than commas and question marks are words, and "'s" is split into two)
    """
    text = text.lower()
    if tokenizer == "openvqa":
        return _OPENVQA_DROPPED.sub("", text).translate(_OPENVQA_SPACE).split()
    if tokenizer == "mmf":
        text = text.replace("'s", " 's").replace(",", "").replace("?", "")
        return [piece.strip() for piece in _MMF_PUNCTUATION.split(text) if piece.strip()]
    return _OURS.findall(text)
