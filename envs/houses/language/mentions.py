"""References to a visible object: by noun, colour, material, ordinal or plural."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.sight import COLOURLESS, SPOKEN_NOUNS, Sight
from clipnav.envs.houses.survey.landmarks import DULL_COLOURS, PLURALS

MENTIONED_MATERIALS = ("wooden", "leather", "metal", "glass")
_UNNEEDED = 0.03  # weight of an adjective that does not distinguish the object
_LARGEST_ORDINAL = 3  # people do not say "the fifth chair"


def mention_options(
    sight: Sight, here: int, facing: float, thing: int
) -> Sequence[tuple[Mention, float]]:
    """Return mentions that refer to one noticed object unambiguously, with weights.

    A bare noun suffices if the object is the only one of its kind. Otherwise a colour, a material
    or an ordinal must distinguish it from the others, or a plural refers to all of them. A colour
    that is not needed gets a lower weight.

    Args:
        facing: Heading in radians that ordinals refer to.
    """
    key = (here, facing, thing)
    if key not in sight.mention_options:  # paths visit the same viewpoints many times
        sight.mention_options[key] = list(_clear_mentions(sight, here, facing, thing))
    return sight.mention_options[key]


def _clear_mentions(
    sight: Sight, here: int, facing: float, thing: int
) -> Iterator[tuple[Mention, float]]:
    info = sight.survey.objects[thing]
    noun, salience = SPOKEN_NOUNS.get(info.category, ("", 0.0))
    if salience == 0:
        return
    same_noun = sight.referents(Mention(noun), here, facing)
    for mention, weight in _possible_mentions(sight, noun, thing, len(same_noun) > 1):
        if mention.plural:
            is_clear = len(same_noun) > 1
        else:
            is_clear = sight.referents(mention, here, facing) == [thing]
        if is_clear:
            yield mention, weight * salience


def _possible_mentions(
    sight: Sight, noun: str, thing: int, has_rivals: bool
) -> Iterator[tuple[Mention, float]]:
    info = sight.survey.objects[thing]
    yield Mention(noun), 1.0
    if info.colour and noun not in COLOURLESS:
        weight = 0.5 if info.colour in DULL_COLOURS else 1.0
        yield Mention(noun, colour=info.colour), weight * (1.3 if has_rivals else _UNNEEDED)
    if info.material in MENTIONED_MATERIALS and noun not in COLOURLESS:
        yield Mention(noun, material=info.material), 0.6 if has_rivals else _UNNEEDED
    if has_rivals:
        for ordinal in range(1, _LARGEST_ORDINAL + 1):
            yield Mention(noun, ordinal=ordinal), 0.8
        if noun in PLURALS:
            yield Mention(noun, plural=True), 0.5
