"""English captions of views of the built-in houses, each with the facts that it states.

The facts determine whether a caption is true of any other view. Contrastive training needs this:
template sentences repeat within a batch, and a caption of one view is often true of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.materials.colours import COLOUR_NAMES
from clipnav.envs.houses.views.view_facts import (
    DISTANCES,
    EVERYWHERE,
    SIDES,
    Fact,
    ViewFacts,
    is_colour,
)

# Synonyms; none of them may also name another category or kind of room.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "sofa": ("sofa", "couch"),
    "tv stand": ("television", "tv"),
    "bookshelf": ("bookshelf", "bookcase"),
    "floor lamp": ("floor lamp", "standing lamp"),
    "plant": ("plant", "potted plant"),
    "kitchen counter": ("kitchen counter", "worktop"),
    "fridge": ("fridge", "refrigerator"),
    "stove": ("stove", "cooker"),
    "washbasin": ("washbasin", "bathroom sink"),
    "bathtub": ("bathtub", "bath"),
    "picture": ("picture", "painting"),
    "rug": ("rug", "carpet"),
    "entrance door": ("front door", "entrance door"),
    "entrance bench": ("bench", "entrance bench"),
    "grandfather clock": ("grandfather clock", "tall clock"),
    "curtain": ("curtain", "drapes"),
    "hallway": ("hallway", "corridor", "hall"),
    "living room": ("living room", "sitting room"),
    "kid's bedroom": ("kid's bedroom", "children's room"),
    "office": ("office", "study"),
    "gym": ("gym", "exercise room"),
    "laundry room": ("laundry room", "laundry"),
}
_EVERYWHERE_WEIGHT = 0.3  # weight of objects that are in rooms of every kind
_ROOM_FRAMES = ("{}", "a photo of {}", "inside {}", "a view of {}", "this is {}")
_THING_FRAMES = ("{}", "a photo of {}", "there is {}", "a view of {}", "you can see {}")
_GLIMPSE_FRAMES = ("a view into {}", "{} seen through a doorway", "a doorway to {}")
_BARE_TEXTS = ("a bare wall", "an empty corner", "nothing but walls")
_SIDE_FRAMES = {
    "left": ("{} on the left", "{} to the left"),
    "middle": ("{} straight ahead", "{} in the middle"),
    "right": ("{} on the right", "{} to the right"),
}
_DISTANCE_FRAMES = {"near": ("{} close by", "{} nearby"), "far": ("{} far away", "a distant {}")}
# Kinds of facts in a caption, and the weight of this kind of caption.
_STYLES: tuple[tuple[tuple[str, ...], float], ...] = (
    (("room",), 0.22),
    (("thing",), 0.12),
    (("colour",), 0.2),
    (("colour", "colour"), 0.12),
    (("room", "colour"), 0.06),
    (("side",), 0.1),
    (("distance",), 0.1),
    (("glimpse",), 0.08),
)


@dataclass(frozen=True)
class Caption:
    """A sentence and the facts that it states; it is true of a view if all of them hold."""

    text: str
    facts: tuple[Fact, ...]


def sample_caption(facts: ViewFacts, rng: np.random.Generator) -> Caption:
    """Draw a caption that is true of a view.

    The kind of caption is drawn first (room, one or two objects with or without colours, room and
    object, side, distance, glimpse), among the kinds for which the view has facts.
    """
    by_kind: dict[str, list[Fact]] = {
        kind: [] for kind in ("room", "glimpse", "thing", "colour", "side", "distance")
    }
    # Sorted, because the order of a set depends on the process.
    for fact in sorted(facts.holds):
        if fact != ("bare",):
            by_kind["colour" if is_colour(fact) else fact[0]].append(fact)
    styles = [(style, weight) for style, weight in _STYLES if all(by_kind[k] for k in style)]
    if not styles:
        return Caption(pick(_BARE_TEXTS, rng), (("bare",),) if ("bare",) in facts.holds else ())
    weights = np.array([weight for _, weight in styles])
    style = styles[int(rng.choice(len(styles), p=weights / weights.sum()))][0]
    chosen: list[Fact] = []
    for kind in style:
        unused = [fact for fact in by_kind[kind] if fact[1] not in {c[1] for c in chosen}]
        if unused:
            chosen.append(_pick_weighted(unused, rng))
    return Caption(realise_facts(chosen, rng), tuple(chosen))


def contradict(caption: Caption, rng: np.random.Generator) -> Caption | None:
    """Draw a caption that contradicts another one in a single word: a colour, side or distance.

    Random negatives of a batch mostly mention other objects and therefore teach neither colours nor
    sides. These hard negatives differ in one word only (as in NegCLIP, arXiv 2210.01936, whose
    negatives are captions with exchanged words).
    """
    positions = [n for n, fact in enumerate(caption.facts) if _alternatives(fact)]
    if not positions:
        return None
    position = positions[int(rng.integers(len(positions)))]
    facts = list(caption.facts)
    fact = facts[position]
    facts[position] = (
        *fact[:2],
        pick([word for word in _alternatives(fact) if word != fact[2]], rng),
    )
    return Caption(realise_facts(facts, rng), tuple(facts))


def _alternatives(fact: Fact) -> tuple[str, ...]:
    """Return all possible values of the last word of a fact."""
    if is_colour(fact):
        return COLOUR_NAMES
    return {"side": tuple(SIDES), "distance": tuple(DISTANCES)}.get(fact[0], ())


def realise_facts(facts: Sequence[Fact], rng: np.random.Generator) -> str:
    """Write facts as a sentence, with a random frame and random synonyms."""
    first = facts[0]
    if len(facts) == 1:
        if first == ("bare",):
            return pick(_BARE_TEXTS, rng)
        frames = {
            "room": _ROOM_FRAMES,
            "glimpse": _GLIMPSE_FRAMES,
            "thing": _THING_FRAMES,
            "side": _SIDE_FRAMES.get(first[-1], ()),
            "distance": _DISTANCE_FRAMES.get(first[-1], ()),
        }[first[0]]
        frame = pick(frames, rng)
        # The frame "a distant {}" already has an article.
        phrase = _noun(first[1], rng) if frame.startswith("a distant") else _phrase(first, rng)
        return frame.format(phrase)
    phrases = [_phrase(fact, rng) for fact in facts]
    if first[0] == "room":
        return f"{phrases[0]} with {' and '.join(phrases[1:])}"
    return pick(_THING_FRAMES, rng).format(" and ".join(phrases))


def room_prompts(kind: str) -> list[str]:
    """Return all captions of a kind of room, for zero-shot classification."""
    names = SYNONYMS.get(kind, (kind,))
    return [frame.format(with_article(name)) for frame in _ROOM_FRAMES for name in names]


def thing_prompts(category: str, colour: str = "") -> list[str]:
    """Return all captions of an object, for zero-shot detection."""
    names = SYNONYMS.get(category, (category,))
    words = [with_article(f"{colour} {name}".strip()) for name in names]
    return [frame.format(word) for frame in _THING_FRAMES for word in words]


def _phrase(fact: Fact, rng: np.random.Generator) -> str:
    colour = fact[2] + " " if is_colour(fact) else ""
    return with_article(colour + _noun(fact[1], rng))


def _noun(name: str, rng: np.random.Generator) -> str:
    return pick(SYNONYMS.get(name, (name,)), rng)


def with_article(words: str) -> str:
    """Return the words with the article "a" or "an"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    """Draw one of several texts with equal probability."""
    return choices[int(rng.integers(len(choices)))]


def _pick_weighted(facts: list[Fact], rng: np.random.Generator) -> Fact:
    weights = np.array([_EVERYWHERE_WEIGHT if fact[1] in EVERYWHERE else 1.0 for fact in facts])
    return facts[int(rng.choice(len(facts), p=weights / weights.sum()))]
