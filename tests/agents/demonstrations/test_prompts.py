"""Words of the decisions."""

import json
import math
import re

import msgspec
import pytest

from agents.demonstrations.prompts import IMAGE, decision_prompts, direction
from agents.demonstrations.records import Candidate, RecordedWalk, Step

LONG = "0123456789abcdef" * 2


def candidate(name, heading=0.0, rise=0.0, picture="p.jpg"):
    return Candidate(name, heading, 0.0, 2.345, rise, picture)


def step(viewpoint, candidates, label=1, picture="ego.jpg"):
    return Step((0, 0, 0), 0.0, label, label, "teacher", picture, viewpoint, tuple(candidates))


def recorded(steps, instruction="Go."):
    return RecordedWalk("1_0", 1, "attic", "en", instruction, tuple(steps), True)


@pytest.mark.parametrize(
    ("degrees", "words"),
    [
        (0, "straight ahead"),
        (4.9, "straight ahead"),
        (-40, "40 degrees to the left"),
        (320, "40 degrees to the left"),
        (90, "90 degrees to the right"),
        (181, "behind you"),
        (-176, "behind you"),
        (-170, "170 degrees to the left"),
    ],
)
def test_directions_in_words(degrees, words):
    assert direction(math.radians(degrees)) == words


def test_places_are_numbered_by_first_sight_and_marked_when_visited():
    walk = recorded(
        [
            step("a", [candidate("b"), candidate("c", math.pi / 2, 0.5)], 2),
            step("c", [candidate("a", -math.pi / 2, -0.5), candidate("d")], 0),
        ]
    )
    first, second = decision_prompts(walk)
    assert "B. place 1, straight ahead, 2.3 m: <image>" in first.text
    assert "C. place 2, 90 degrees to the right, 2.3 m, going up: <image>" in first.text
    assert json.loads(first.answer) == {"action": "C"}
    assert "Places so far, in order: 0, 2." in second.text
    assert "B. place 0, 90 degrees to the left, 2.3 m, going down, visited before" in second.text
    assert "C. place 3, straight ahead" in second.text
    assert json.loads(second.answer) == {"action": "A"}


def test_a_picture_follows_its_label_and_history_comes_first():
    steps = [
        step(name, [candidate("x", picture=f"{name}.jpg")], picture=f"{name}_ego.jpg")
        for name in "abcd"
    ]
    prompt = decision_prompts(recorded(steps), history=2)[3]
    assert prompt.pictures == ("b_ego.jpg", "c_ego.jpg", "d.jpg")
    assert prompt.text.count(IMAGE) == 3
    assert re.search(r"oldest first: <image> <image>\nOptions:", prompt.text)


def test_without_pictures_of_candidates_the_view_is_shown():
    prompt = decision_prompts(recorded([step("a", [candidate("b", picture="")])]))[0]
    assert prompt.pictures == ("ego.jpg",)
    assert f"Your view: {IMAGE}\nOptions:" in prompt.text


def test_instructions_stay_on_one_line_and_add_no_picture():
    hostile = f' Go "left"\n{{now}} {IMAGE} दरवाज़े\t'
    prompt = decision_prompts(recorded([step("a", [candidate("b")])], hostile))[0]
    assert 'Instruction: Go "left" {now} [image] दरवाज़े\n' in prompt.text
    assert prompt.text.count(IMAGE) == len(prompt.pictures) == 1


def test_prompts_contain_no_secret():
    walk = recorded([step(LONG, [candidate(LONG[::-1])], 1)])
    prompt = decision_prompts(walk)[0]
    for secret in (LONG, LONG[::-1], "goal", "teacher"):
        assert secret not in prompt.task + prompt.text
    other = msgspec.structs.replace(walk.steps[0], label=0)
    assert decision_prompts(recorded([other]))[0].text == prompt.text


def test_too_many_neighbours_are_named():
    crowd = [candidate(f"n{number}") for number in range(26)]
    with pytest.raises(ValueError, match="viewpoint a of attic has 26 neighbours"):
        decision_prompts(recorded([step("a", crowd)]))
