"""Cutting questions and hypotheses into words, by our own rule and by those of the originals."""

import re
from typing import Literal

Tokenizer = Literal["ours", "openvqa", "mmf"]

_OURS = re.compile(r"'s\b|\w+")
_OPENVQA_DROPPED = re.compile(r"[.,'!?\"()*#:;]")
_OPENVQA_SPACE = str.maketrans("-/", "  ")
_MMF_MARKS = re.compile(r"(\W+)")


def cut_words(text: str, tokenizer: Tokenizer) -> list[str]:
    """Lower-case words of a sentence.

    "The dog's T-shirt, red?" becomes
        ours: the, dog, 's, t, shirt, red
        openvqa: the, dogs, t, shirt, red (`vqa_loader.py`: apostrophes and most marks vanish)
        mmf: the, dog, ', s, t, -, shirt, red (`simple_sentence`: runs of marks other than
            commas and question marks are words, and "'s" is cut in two)
    """
    text = text.lower()
    if tokenizer == "openvqa":
        return _OPENVQA_DROPPED.sub("", text).translate(_OPENVQA_SPACE).split()
    if tokenizer == "mmf":
        text = text.replace("'s", " 's").replace(",", "").replace("?", "")
        return [piece.strip() for piece in _MMF_MARKS.split(text) if piece.strip()]
    return _OURS.findall(text)
