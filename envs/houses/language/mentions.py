"""Ways to refer to a thing that is seen: by noun, colour, material, ordinal or plural."""

from __future__ import annotations

from collections.abc import Iterator

from envs.houses.language.acts import Mention
from envs.houses.language.grammar import Language
from envs.houses.language.sight import COLOURLESS, SPOKEN, Sight
from envs.houses.survey.landmarks import DULL_COLOURS, PLURALS

SAID_MATERIALS = ("wooden", "leather", "metal", "glass")
MOST_COUNTED = 3  # things; nobody says "the fifth chair"


def ways_to_mention(
    sight: Sight, language: Language, here: int, facing: float, thing: int
) -> Iterator[tuple[Mention, float]]:
    """Mentions that mean one thing alone among all that is noticed, with weights.

    A bare noun will do where there is one of a kind; else colour, material or an ordinal must tell
    it from the others, or a plural takes them all. Where nothing forces it a colour is said now
    and then.

    Args:
        sight: The house.
        language: What its lexicon lacks is not mentioned.
        here: Viewpoint.
        facing: Heading in radians, from which ordinals count.
        thing: Object index.
    """
    info = sight.survey.objects[thing]
    noun, salience = SPOKEN.get(info.category, ("", 0.0))
    if salience == 0:
        return
    alike = sight.meant(Mention(noun), here, facing)
    for mention, weight in _candidates(sight, noun, thing, len(alike) > 1):
        if mention.plural:
            is_clear = len(alike) > 1
        else:
            is_clear = sight.meant(mention, here, facing) == [thing]
        if is_clear and language.knows(mention):
            yield mention, weight * salience


def _candidates(
    sight: Sight, noun: str, thing: int, has_rivals: bool
) -> Iterator[tuple[Mention, float]]:
    info = sight.survey.objects[thing]
    yield Mention(noun), 1.0
    if info.colour and noun not in COLOURLESS:
        weight = 0.5 if info.colour in DULL_COLOURS else 1.0
        yield Mention(noun, colour=info.colour), weight * (2.0 if has_rivals else 0.8)
    if info.material in SAID_MATERIALS and noun not in COLOURLESS:
        yield Mention(noun, material=info.material), 0.8 if has_rivals else 0.15
    if has_rivals:
        for ordinal in range(1, MOST_COUNTED + 1):
            yield Mention(noun, ordinal=ordinal), 0.8
        if noun in PLURALS:
            yield Mention(noun, plural=True), 0.5
