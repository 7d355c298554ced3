import numpy as np
import pytest

from clipnav.vl_tasks.house_tasks.balance import Example
from clipnav.vl_tasks.house_tasks.gqa_files import gqa_text, program
from clipnav.vl_tasks.house_tasks.gqa_questions import KINDS, QuestionScene, generate_gqa_questions
from clipnav.vl_tasks.house_tasks.images import HouseImage, Thing


@pytest.fixture(scope="module")
def scenes(images):
    return [QuestionScene(image) for image in images]


@pytest.fixture(scope="module")
def questions(scenes):
    return generate_gqa_questions(scenes, 2400, np.random.default_rng(0))


def _across(image, name):
    (thing,) = image.meant(name)
    return thing.across


def _side(image, first, second):
    return "left" if _across(image, first) < _across(image, second) else "right"


def _position(image, name):
    across = _across(image, name)
    return "middle" if abs(across) <= 0.25 else "left" if across < 0 else "right"


def _beside(image, side, reference):
    sign, middle = -1 if side == "left" else 1, _across(image, reference)
    (name,) = [t.name for t in image.things if sign * (t.across - middle) > 0]
    return name


def _shown(image, *names):
    return [len(image.meant(name)) > 0 for name in names]


def _colour(image, name):
    (thing,) = image.meant(name)
    return thing.colour


def _nearest(image, *names):
    return min(names, key=lambda name: image.meant(name)[0].distance)


TRUTH = {
    "existence": _shown,
    "both": lambda image, *names: all(_shown(image, *names)),
    "either": lambda image, *names: any(_shown(image, *names)),
    "room": lambda image: image.room,
    "choose-room": lambda image, *rooms: image.room,
    "verify-room": lambda image, room: image.room == room,
    "choose-side": _side,
    "verify-side": lambda image, first, side, second: _side(image, first, second) == side,
    "query-object": _beside,
    "nearer": _nearest,
    "position": _position,
    "same-colour": lambda image, *names: len({_colour(image, name) for name in names}) == 1,
    "verify-colour": lambda image, name, colour: _colour(image, name) == colour,
    "choose-colour": lambda image, name, *colours: _colour(image, name),
    "colour": _colour,
}


def _truth(one):
    """Derive the answer again from the things of the image."""
    answer = TRUTH[one.kind](one.image, *one.subject)
    if isinstance(answer, list):
        (answer,) = answer
    return {True: "yes", False: "no"}.get(answer, answer)


def test_answers_are_true(questions):
    assert len(questions[0]) > 1000
    for one in questions[0]:
        assert one.answer == _truth(one), one


def test_a_blind_baseline_answers_by_chance(questions):
    chances = questions[1]
    for kind, properties in KINDS.items():
        assert chances[kind] <= 1 / properties.min_answers
    assert chances["all"] <= 0.5


def test_texts_do_not_depend_on_the_answer(questions):
    for one in questions[0]:
        others = {
            gqa_text(Example(one.kind, one.subject, answer, one.image), rng)
            for answer in (one.answer, "another answer")
            for rng in [np.random.default_rng(7)]
        }
        (text,) = others
        assert text.endswith("?")
        assert "{" not in text
        if one.kind.startswith("choose") or one.kind == "nearer":
            assert one.answer in text


@pytest.fixture(scope="module")
def scene():
    things = (
        Thing("sofa", "red", 0.3, -0.5, 2.0, 12),
        Thing("lamp", "red", 0.1, 0.5, 3.5, 7),
    )
    return QuestionScene(HouseImage(1, "a.jpg", "", things, "office", frozenset({"office", "gym"})))


@pytest.mark.parametrize(
    ("kind", "subject", "answer", "steps"),
    [
        ("existence", ("rug",), "no", ["select: rug (-)", "exist: ? [0]"]),
        ("colour", ("sofa",), "red", ["select: sofa (12)", "query: color [0]"]),
        (
            "choose-colour",
            ("sofa", "blue", "red"),
            "red",
            ["select: sofa (12)", "choose color: blue|red [0]"],
        ),
        (
            "verify-side",
            ("lamp", "left", "sofa"),
            "no",
            ["select: sofa (12)", "verify rel: lamp,to the left of,s (7) [0]"],
        ),
        (
            "query-object",
            ("right", "sofa"),
            "lamp",
            ["select: sofa (12)", "relate: _,to the right of,s (7) [0]", "query: name [1]"],
        ),
        (
            "both",
            ("lamp", "rug"),
            "no",
            ["select: lamp (7)", "exist: ? [0]", "select: rug (-)", "exist: ? [2]", "and:  [1, 3]"],
        ),
        ("verify-room", ("office",), "yes", ["select: scene", "verify place: office [0]"]),
        (
            "same-colour",
            ("lamp", "sofa"),
            "yes",
            ["select: lamp (7)", "select: sofa (12)", "same color:  [0, 1]"],
        ),
    ],
)
def test_answers_and_programs_by_hand(scene, kind, subject, answer, steps):
    question = scene.question(kind, subject)
    assert question.answer == answer
    written = [
        f"{one['operation']}: {one['argument']} {one['dependencies'] or ''}".rstrip()
        for one in program(question, scene)
    ]
    assert written == steps


def test_unclear_questions_have_no_answer(scene):
    assert scene.answer("verify-room", ("gym",)) is None  # it may be visible
    assert scene.answer("choose-room", ("gym", "office")) is None
    assert scene.answer("colour", ("rug",)) is None
    assert scene.answer("query-object", ("left", "sofa")) is None
    with pytest.raises(ValueError, match=r"image 1 does not answer colour \('rug',\)"):
        scene.question("colour", ("rug",))
