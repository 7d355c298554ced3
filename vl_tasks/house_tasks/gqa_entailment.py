"""Questions whose answers follow from the answer to another question about the same image."""

from collections.abc import Callable, Iterator

from clipnav.vl_tasks.house_tasks.gqa_questions import OPPOSITE, Key
from clipnav.vl_tasks.house_tasks.questions import HouseQuestion


def entailed_keys(question: HouseQuestion) -> list[Key]:
    """Return kind and subject of the questions that an answered question entails."""
    return list(_ENTAILED[question.kind](question.answer, *question.subject))


def equivalent_keys(question: HouseQuestion) -> list[Key]:
    """Return kind and subject of the questions with the same meaning as a question."""
    if question.kind != "verify-side":
        return []
    first, side, second = question.subject
    return [("verify-side", (second, OPPOSITE[side], first))]


Entail = Callable[..., Iterator[Key]]


def _existence(answer: str, *names: str) -> Iterator[Key]:
    for name in names:
        yield "existence", (name,)


def _colour(answer: str, name: str) -> Iterator[Key]:
    yield from _existence(answer, name)
    yield "verify-colour", (name, answer)


def _verify_colour(answer: str, name: str, colour: str) -> Iterator[Key]:
    yield from _existence(answer, name)
    if answer == "yes":
        yield "colour", (name,)


def _choose_colour(answer: str, name: str, *colours: str) -> Iterator[Key]:
    yield from _existence(answer, name)
    yield "colour", (name,)
    for colour in colours:
        yield "verify-colour", (name, colour)


def _room(answer: str) -> Iterator[Key]:
    yield "verify-room", (answer,)


def _verify_room(answer: str, room: str) -> Iterator[Key]:
    if answer == "yes":
        yield "room", ()


def _choose_room(answer: str, *rooms: str) -> Iterator[Key]:
    yield "room", ()
    for room in rooms:
        yield "verify-room", (room,)


def _choose_side(answer: str, first: str, second: str) -> Iterator[Key]:
    yield from _existence(answer, first, second)
    yield "choose-side", (second, first)
    for side in OPPOSITE:
        yield "verify-side", (first, side, second)
        yield "verify-side", (second, side, first)


def _verify_side(answer: str, first: str, side: str, second: str) -> Iterator[Key]:
    yield from _existence(answer, first, second)
    yield "verify-side", (second, OPPOSITE[side], first)
    if answer == "yes":
        yield "verify-side", (first, OPPOSITE[side], second)
        yield "choose-side", (first, second)


def _query_object(answer: str, side: str, name: str) -> Iterator[Key]:
    yield from _existence(answer, answer, name)
    yield "verify-side", (answer, side, name)
    yield "choose-side", (answer, name)


def _both(answer: str, *names: str) -> Iterator[Key]:
    if answer == "yes":
        yield from _existence(answer, *names)
        yield "either", names


def _either(answer: str, *names: str) -> Iterator[Key]:
    if answer == "no":
        yield from _existence(answer, *names)
        yield "both", names


def _nothing(answer: str, *subject: str) -> Iterator[Key]:
    yield from ()


_ENTAILED: dict[str, Entail] = {
    "query-object": _query_object,
    "same-colour": _existence,
    "nearer": _existence,
    "choose-room": _choose_room,
    "verify-room": _verify_room,
    "room": _room,
    "choose-colour": _choose_colour,
    "verify-colour": _verify_colour,
    "colour": _colour,
    "choose-side": _choose_side,
    "verify-side": _verify_side,
    "position": _existence,
    "both": _both,
    "either": _either,
    "existence": _nothing,
}
