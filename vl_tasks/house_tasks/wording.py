"""Words for things and rooms of the built-in houses."""

import numpy as np

from envs.houses.views.captions import SYNONYMS, pick


def thing_name(category: str) -> str:
    """What a thing of a category is called; "television" stands for "tv stand"."""
    return SYNONYMS.get(category, (category,))[0]


# By the first word for it, which is a thing's name here; without the plural "drapes".
_OTHER_WORDS = {
    words[0]: tuple(word for word in words if not word.endswith("s")) or words
    for words in SYNONYMS.values()
}


def say(name: str, rng: np.random.Generator) -> str:
    """A thing's or a room's name, or another word for it."""
    return pick(_OTHER_WORDS.get(name, (name,)), rng)
