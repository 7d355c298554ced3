from itertools import pairwise

import numpy as np
import pytest

from envs.houses.language.acts import EDGES, STATEMENTS, TURNS
from envs.houses.language.languages import TAGS, language_of
from envs.houses.language.mentions import ways_to_mention
from envs.houses.language.plan import Planner, with_statements
from envs.houses.language.realising import realise, sentences
from envs.houses.language.symbolic_follower import follow_at_once
from envs.houses.language.walking import agrees

PATHS = [
    (7, 6, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16),  # from the bedroom up to the library
    (16, 15, 14, 13, 12, 5, 4, 3, 2, 8, 9),  # and down to the kitchen
    (9, 8, 2, 3, 4, 5, 10, 11),
]


def make_plans(sight, tag="en-US", count=12):
    rng, planner = np.random.default_rng(3), Planner(sight)
    for path in PATHS:
        for _ in range(count):
            heading = float(rng.uniform(0, 2 * np.pi))
            plan = planner.plan(language_of(tag), path, heading, rng)
            assert plan is not None
            yield path, heading, plan, rng


def test_acts_cover_the_path_without_gaps(sight):
    for path, _, plan, _ in make_plans(sight):
        walked = [step for step in plan.steps if step.act.kind in EDGES]
        assert walked[0].first == 0
        assert walked[-1].last == len(path) - 1
        assert all(a.last == b.first for a, b in pairwise(walked))
        assert plan.steps[-1].act.kind == "stop"


def test_all_that_is_said_is_true(sight):
    for path, heading, plan, rng in make_plans(sight):
        facing, turn = heading, None
        for step in with_statements(plan, 5, rng):
            if step.act.kind in TURNS:
                turn = step.act
                continue
            walk = path[step.first : step.last + 1]
            assert agrees(sight, step.act, walk, facing, turn is not None), step
            if turn:
                ahead = sight.heading(path[step.first], path[step.first + 1])
                assert sight.leads_to(turn.kind, turn.side, ahead, facing)
            if step.act.kind in EDGES:
                facing, turn = sight.heading(*walk[-2:]), None


def test_plans_lead_those_who_do_not_look_ahead(sight):
    arrived = []
    for path, heading, plan, rng in make_plans(sight):
        acts = [step.act for step in plan.steps]
        ends = [follow_at_once(sight, acts, path[0], heading, rng)[-1] for _ in range(8)]
        arrived.append(ends.count(path[-1]) / len(ends))
    assert np.mean(arrived) > 0.8


def test_stairs_are_always_told(sight):
    for path, _, plan, _ in make_plans(sight):
        flights = [(step.act.kind, step.first, step.last) for step in plan.steps]
        flights = [flight for flight in flights if flight[0] in ("up", "down")]
        expected = {PATHS[0]: [("up", 7, 9)], PATHS[1]: [("down", 3, 5)], PATHS[2]: []}
        assert flights == expected[path]


def test_objects_meant_are_those_that_the_words_fit(sight):
    for _, _, plan, rng in make_plans(sight):
        for step in with_statements(plan, 4, rng):
            if step.act.mention is not None:
                assert step.things
                assert sight.fits(step.act.mention)[list(step.things)].all()


def test_statements_are_added_where_wanted_and_repeat_no_noun(sight):
    for _, _, plan, rng in make_plans(sight):
        few, many = (with_statements(plan, count, rng) for count in (0, 6))
        assert few == list(plan.steps)
        added = [step for step in many if step not in plan.steps]
        nouns = [step.act.mention.noun for step in added if step.act.mention]
        assert added
        assert len(set(nouns)) == len(nouns)
        firsts = [step.first for step in many]
        assert firsts == sorted(firsts)


def test_mentions_tell_a_thing_from_its_like(sight):
    language = language_of("en-US")
    north = 0.0
    red, blue = 9, 10
    said = {
        thing: {mention for mention, _ in ways_to_mention(sight, language, 0, north, thing)}
        for thing in (red, blue, 6)
    }
    assert {mention.ordinal for mention in said[red]} == {0, 1}  # all of them, or the first
    assert {mention.ordinal for mention in said[blue]} == {0, 2}
    assert all(mention.ordinal or mention.plural for mention in said[red] | said[blue])
    assert {(m.noun, m.colour) for m in said[6]} == {("coat rack", ""), ("coat rack", "black")}


def test_a_path_whose_goal_has_no_landmark_is_not_told(sight):
    language = language_of("en-US")
    assert Planner(sight).plan(language, (7, 6, 0), 0.0, np.random.default_rng(0)) is None


@pytest.mark.parametrize("tag", TAGS)
def test_spans_tell_which_words_speak_of_which_part(sight, tag):
    for _, _, plan, rng in make_plans(sight, tag, 3):
        steps = with_statements(plan, 3, rng)
        told = realise(language_of(tag), steps, rng)
        assert len(told.spans) == len(steps)
        ends = [0]
        for span, step in zip(told.spans, steps, strict=True):
            assert (span.first, span.last, span.things) == (step.first, step.last, step.things)
            assert ends[-1] <= span.start < span.end <= len(told.text)
            ends.append(span.end)


def test_sentences_hold_statements_alone_and_no_turn_at_the_end(sight):
    for _, _, plan, rng in make_plans(sight):
        steps = with_statements(plan, 4, rng)
        dealt = sentences(steps, rng)
        assert [step for sentence in dealt for step in sentence] == steps
        for sentence in dealt:
            kinds = [step.act.kind for step in sentence]
            assert kinds[-1] not in TURNS
            assert len(kinds) == 1 or not set(kinds) & (set(STATEMENTS) - {"stop"})


def test_english_sentences_begin_with_a_capital(sight):
    for _, _, plan, rng in make_plans(sight, "en-IN", 4):
        text = realise(language_of("en-IN"), plan.steps, rng).text
        assert all(one[0].isupper() for one in text.split(". "))
        assert text.endswith(".")
