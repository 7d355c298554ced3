"""Names and synonyms of things and rooms of the built-in houses."""

import numpy as np

from clipnav.envs.houses.views.captions import SYNONYMS, pick


def thing_name(category: str) -> str:
    """Return the name of things of a category, such as "television" for "tv stand"."""
    return SYNONYMS.get(category, (category,))[0]


# Synonyms by name, without the plural "drapes".
_SYNONYMS_BY_NAME = {
    words[0]: tuple(word for word in words if not word.endswith("s")) or words
    for words in SYNONYMS.values()
}


def pick_synonym(name: str, rng: np.random.Generator) -> str:
    """Return the name of a thing or room, or a synonym of it, at random."""
    return pick(_SYNONYMS_BY_NAME.get(name, (name,)), rng)
