from itertools import pairwise

import numpy as np
import pytest

from clipnav.envs.houses.instructions.writing import realise_acts, sentences
from clipnav.envs.houses.language.acts import EDGE_RANGES, STATEMENTS, TURNS
from clipnav.envs.houses.language.annotators import Writer, annotators_of
from clipnav.envs.houses.language.grammars.languages import TAGS, language_of
from clipnav.envs.houses.language.mentions import mention_options
from clipnav.envs.houses.language.plan import Planner, with_statements
from clipnav.envs.houses.language.symbolic_follower import follow_online
from clipnav.envs.houses.language.walking import agrees

PATHS = [
    (7, 6, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16),  # from the bedroom up to the library
    (16, 15, 14, 13, 12, 5, 4, 3, 2, 8, 9),  # and down to the kitchen
    (9, 8, 2, 3, 4, 5, 10, 11),
]


def make_plans(sight, tag="en-US", count=12, is_short=False):
    rng, planner = np.random.default_rng(3), Planner(sight)
    for path in PATHS:
        for number in range(count):
            heading = float(rng.uniform(0, 2 * np.pi))
            writer = Writer(annotators_of(tag)[number], rng)
            plan = planner.plan(path, heading, writer, is_short)
            assert plan is not None
            yield path, heading, plan, writer


def test_acts_cover_the_path_without_gaps(sight):
    for path, _, plan, _ in make_plans(sight):
        walked = [step for step in plan.steps if step.act.kind in EDGE_RANGES]
        assert walked[0].first == 0
        assert walked[-1].last == len(path) - 1
        assert all(a.last == b.first for a, b in pairwise(walked))
        assert plan.steps[-1].act.kind == "stop"


def test_all_acts_of_a_plan_are_true_of_its_path(sight):
    for path, heading, plan, writer in make_plans(sight):
        facing, turn = heading, None
        for step in with_statements(plan, 5, writer):
            if step.act.kind in TURNS:
                turn = step.act
                continue
            walk = path[step.first : step.last + 1]
            assert agrees(sight, step.act, walk, facing, turn is not None), step
            if turn:
                ahead = sight.heading(path[step.first], path[step.first + 1])
                assert sight.leads_to(turn.kind, turn.side, ahead, facing)
            if step.act.kind in EDGE_RANGES:
                facing, turn = sight.heading(*walk[-2:]), None


def test_plans_lead_a_follower_without_a_map_to_the_goal(sight):
    for is_short in (False, True):
        hits = []
        for path, heading, plan, _ in make_plans(sight, is_short=is_short):
            acts = [step.act for step in plan.steps]
            hits.append(follow_online(sight, acts, path[0], heading)[-1] == path[-1])
        assert np.mean(hits) > 0.7


def test_short_plans_have_fewer_acts(sight):
    long, short = (
        np.mean([len(plan.steps) for _, _, plan, _ in make_plans(sight, is_short=is_short)])
        for is_short in (False, True)
    )
    assert short < 0.9 * long


def test_stairs_are_always_mentioned(sight):
    for path, _, plan, _ in make_plans(sight):
        flights = [(step.act.kind, step.first, step.last) for step in plan.steps]
        flights = [flight for flight in flights if flight[0] in ("up", "down")]
        expected = {PATHS[0]: [("up", 7, 9)], PATHS[1]: [("down", 3, 5)], PATHS[2]: []}
        assert flights == expected[path]


def test_mentions_fit_their_objects(sight):
    for _, _, plan, writer in make_plans(sight):
        for step in with_statements(plan, 4, writer):
            if step.act.mention is not None:
                assert step.things
                assert sight.fits(step.act.mention)[list(step.things)].all()


def test_added_statements_are_in_order_and_repeat_no_noun(sight):
    for _, _, plan, writer in make_plans(sight):
        few, many = (with_statements(plan, count, writer) for count in (0, 6))
        assert few == list(plan.steps)
        added = [step for step in many if step not in plan.steps]
        nouns = [step.act.mention.noun for step in added if step.act.mention]
        assert added
        assert len(set(nouns)) == len(nouns)
        firsts = [step.first for step in many]
        assert firsts == sorted(firsts)


def test_mentions_distinguish_objects_of_one_kind(sight):
    north = 0.0
    red, blue = 9, 10
    mentions = {
        thing: {mention for mention, _ in mention_options(sight, 0, north, thing)}
        for thing in (red, blue, 6)
    }
    assert {mention.ordinal for mention in mentions[red]} == {0, 1}  # all of them, or the first
    assert {mention.ordinal for mention in mentions[blue]} == {0, 2}
    assert all(mention.ordinal or mention.plural for mention in mentions[red] | mentions[blue])
    assert {(m.noun, m.colour) for m in mentions[6]} == {("coat rack", ""), ("coat rack", "black")}


def test_a_goal_without_a_landmark_has_no_plan(sight):
    writer = Writer(annotators_of("en-US")[0], np.random.default_rng(0))
    assert Planner(sight).plan((7, 6, 0), 0.0, writer) is None


@pytest.mark.parametrize("tag", TAGS)
def test_spans_align_the_text_with_the_path(sight, tag):
    for _, _, plan, writer in make_plans(sight, tag, 3):
        steps = with_statements(plan, 3, writer)
        instruction = realise_acts(language_of(tag), steps, writer)
        assert len(instruction.spans) == len(steps)
        ends = [0]
        for span, step in zip(instruction.spans, steps, strict=True):
            assert (span.first, span.last, span.things) == (step.first, step.last, step.things)
            assert ends[-1] <= span.start < span.end <= len(instruction.text)
            ends.append(span.end)


def test_statements_are_separate_sentences_and_no_sentence_ends_in_a_turn(sight):
    for _, _, plan, writer in make_plans(sight):
        steps = with_statements(plan, 4, writer)
        grouped = sentences(steps, writer)
        assert [step for sentence in grouped for step in sentence] == steps
        for sentence in grouped:
            kinds = [step.act.kind for step in sentence]
            assert kinds[-1] not in TURNS
            assert len(kinds) == 1 or not set(kinds) & (set(STATEMENTS) - {"stop"})
