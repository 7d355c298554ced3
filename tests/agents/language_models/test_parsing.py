import json

import pytest

from clipnav.agents.language_models.prompts.observations import Option
from clipnav.agents.language_models.prompts.parsing import parse_answer

LETTERS = (
    Option("A", 0),
    Option("B", 1, 4, "straight ahead, 2.0 m"),
    Option("C", 2, 7, "40 degrees to the left, 1.0 m"),
    Option("D", 3, 9, "straight behind, 1.5 m"),
)
NUMBERS = tuple(
    Option(str(o.action), o.action, o.place, o.words) for o in (LETTERS[0], *LETTERS[1:])
)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('{"thought": "t", "plan": "p", "action": "B"}', 1),
        ('```json\n{"action": "B"}\n```', 1),
        ('I think so. {"action": "B"} That is all.', 1),
        ('<think>{"action": "C"} or not?</think>\n{"action": "B"}', 1),
        ('{"action": "B"', 1),
        ("{'action': 'B'}", 1),
        ('{"action": "B",}', 1),
        ('{"ACTION": "c"}', 2),
        ('{"action": "(C"}', None),
        ('{"action": "C: place 7"}', 2),
        ('{"action": "Option C"}', None),
        ('{"action": "option C"}', 2),
        ('{"action": "Place 7"}', 2),
        ('{"action": "stop"}', 0),
        ('{"action": "Place 4, straight ahead, 2.0 m"}', 1),
        ('{"action": "40 degrees to the left, 1.0 m"}', 2),
        ('{"action": "Place 4, 40 degrees to the left, 1.0 m"}', None),
        ('{"action": "place 4 or place 7"}', None),
        ('{"action": "do not stop here"}', None),
        ('"B"', 1),
        ("B", 1),
        ("place 9", 3),
        ("**B**", 1),
        # Only the field counts.
        ('{"thought": "ignore the rules, action: A", "action": "C"}', 2),
        ('{"thought": "ignore the rules, action: A"}', None),
        ('{"thought": "ignore the rules, action: A"', None),
        ('{"thought": "not action A", "action": "Place 4",}', 1),
        ('{"thought": "action B is wrong", "action": "stop",}', 0),
        ('{"thought": "it says "action": "A"", "action": "C"}', 2),
        ('{"action": stop}', 0),
        ('{"action": "40 degrees to the left, 1.0 m",}', 2),
        ('{"action": "B, or C",}', None),
        # A full stop behind a name.
        ('{"action": "Stop."}', 0),
        ("Stop.", 0),
        ('{"action": "Place 4, straight ahead, 2.0 m."}', 1),
        # A list of options is no choice.
        ("A: stop here\nB: place 4, straight ahead, 2.0 m\nC: place 7", None),
        ("A) or B)", None),
        ('{"action": "A: stop here, or C: place 7"}', None),
        ("B: place 4, because it is 2.0 m away. E: is no option.", 1),
        ("B. I see a door: the one of the instruction.", 1),
        # The article is no label.
        ("My next action: a left turn", None),
        ("I take the action a human would take: turn left", None),
        ("Not action A. Action: C.", 2),
        ('{"action": "B"} {"action": "C"}', 2),
        ('{"action": "B", "action": "C"}', None),
        ('{"action": "B", "Action": "C"}', None),
        ('{"action": "Z"}', None),
        ('{"action": ""}', None),
        ('{"action": null}', None),
        ('{"action": 3}', None),
        ('{"action": ["B"]}', None),
        ('{"action": "B or C"}', None),
        ('{"action": "\uff22"}', None),
        ("", None),
        ("null", None),
        ("3", None),
        ('["B"]', None),
        ("I would go left.", None),
        ("\x00", None),
        ("[" * 100_000, None),
        ('{"a":' * 100_000, None),
        ("1" * 100_000, None),
    ],
)
def test_answers_to_lettered_options(text, action):
    answer = parse_answer(text, LETTERS)
    assert (None if answer.option is None else answer.option.action) == action
    assert answer.kind == ("invalid" if action is None else "valid")
    assert bool(answer.problem) == (action is None)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('{"action": 3}', 3),
        ('{"action": "3"}', 3),
        ('{"action": 3,}', 3),
        ("3", 3),
        ('{"action": 9}', None),
        ("0", 0),
        ("**Action:** 2", 2),
        ("0: stop here\n1: place 4, straight ahead, 2.0 m", None),
        ("2: place 7, 40 degrees to the left, 1.0 m", 2),
        ("In action 2 I turned around.", None),
    ],
)
def test_numbers_are_labels_only_if_the_options_have_numbers(text, action):
    option = parse_answer(text, NUMBERS).option
    assert (None if option is None else option.action) == action


@pytest.mark.parametrize(
    ("text", "finish", "refusal", "kind"),
    [
        ("", "stop", "No.", "refused"),
        ("", "content_filter", "", "refused"),
        ("I'm sorry, but I can't help with that.", "stop", "", "refused"),
        ("I\u2019m sorry, I can\u2019t assist with it.", "stop", "", "refused"),
        ('{"thought": "a long', "length", "", "truncated"),
        ("x" * 200_000, "length", "", "truncated"),
        (" " * 200_000, "stop", "", "invalid"),
        ('{"thought": "I can\'t help it", "action": "B"}', "stop", "", "valid"),
        ('{"action": "B"}', "length", "", "valid"),
    ],
)
def test_refused_and_truncated_answers_are_kept_apart(text, finish, refusal, kind):
    assert parse_answer(text, LETTERS, finish, refusal).kind == kind


@pytest.mark.parametrize(
    "piece",
    ["{", "action", "action{", "}", "place ", '"action": ', '"action"  ', "<think>", "can't help"],
)
def test_parsing_takes_linear_time(piece):
    # Quadratic time would take minutes for a megabyte.
    assert parse_answer(piece * (1_000_000 // len(piece)), LETTERS).option is None


def test_a_valid_answer_can_be_written_again():
    for option in LETTERS:
        text = json.dumps({"thought": '"quotes" {braces}\n', "plan": "", "action": option.label})
        assert parse_answer(text, LETTERS).option == option


def test_texts_can_be_part_of_later_requests():
    parsed = parse_answer(
        r'{"thought": "\ud800", "plan": "go \udfff \ud83d\ude00", "action": "B"}', LETTERS
    )
    assert (parsed.thought, parsed.plan) == ("?", "go ? \U0001f600")
    assert parsed.option == LETTERS[1]
