import re
from dataclasses import replace

import numpy as np
import pytest

from clipnav.envs.houses.instructions.instructions import (
    is_unambiguous,
    plan_clauses,
    room_visits,
    write_instructions,
)
from clipnav.envs.houses.language.r2r_realiser import realise_clauses
from clipnav.envs.houses.meshes.scene import ObjectInfo
from clipnav.envs.houses.survey.clauses import Clause
from clipnav.envs.houses.survey.landmarks import Landmark, contrast, references
from clipnav.envs.houses.survey.routes import Routes, choose_episodes, flights
from clipnav.envs.houses.survey.visibility import HEADING_STEPS, Survey
from clipnav.envs.houses.survey.waymarks import waymark_options

# A hallway of four viewpoints along y; a bedroom, a kitchen and a second bedroom are to its east.
PLAN = """
index  x    y    room
0      0    0    hallway
1      0    2    hallway
2      0    4    hallway
3      0    6    hallway
4      2    0    bedroom
5      4    0    bedroom
6      2    4    kitchen
7      4    4    kitchen
8      2    6    bedroom
9      4    6    bedroom
"""
EDGES = [(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (2, 6), (6, 7), (3, 8), (8, 9)]
ROOM_KINDS = ("hallway", "bedroom", "kitchen", "bedroom")
ROOMS = (0, 0, 0, 0, 1, 1, 2, 2, 3, 3)
THINGS = [
    ("bed", "blue", 1, (4.5, 0.0)),
    ("wardrobe", "white", 1, (2.0, -1.0)),
    ("fridge", "white", 2, (4.5, 4.0)),
    ("stove", "grey", 2, (2.0, 3.0)),
    ("bed", "red", 3, (4.5, 6.0)),
    ("desk", "brown", 3, (2.0, 7.0)),
    ("coat rack", "black", 0, (-0.8, 3.0)),
    ("chair", "green", 2, (3.6, 4.8)),
    ("chair", "green", 2, (4.4, 4.8)),
]


def make_survey() -> Survey:
    """Build the survey: each object is a disc of radius 0.4 m, visible in its room and door."""
    rows = [line.split() for line in PLAN.strip().splitlines()[1:]]
    positions = np.array([[float(row[1]), float(row[2])] for row in rows])
    edges = np.zeros((len(rows), len(rows)), bool)
    for i, j in EDGES:
        edges[i, j] = edges[j, i] = True
    objects = tuple(
        ObjectInfo(i, kind, colour, "", room, (x - 0.3, y - 0.3, 0), (x + 0.3, y + 0.3, 1))
        for i, (kind, colour, room, (x, y)) in enumerate(THINGS)
    )
    areas = np.zeros((len(rows), HEADING_STEPS, len(objects)), np.float32)
    distances = np.full((len(rows), len(objects)), np.inf, np.float32)
    for v, position in enumerate(positions):
        for thing, (_, _, room, place) in enumerate(THINGS):
            in_sight = {ROOMS[v]} | {ROOMS[n] for n in np.flatnonzero(edges[v])}
            if room in in_sight:
                x, y = np.array(place) - position
                distances[v, thing] = np.hypot(x, y)
                step = round(np.arctan2(x, y) / np.radians(30)) % HEADING_STEPS
                shown = [(step + aside) % HEADING_STEPS for aside in (-1, 0, 1)]
                areas[v, shown, thing] = min(0.4 / np.hypot(x, y), 1) ** 2 / 4
    names = tuple(f"{v:032x}" for v in range(len(rows)))
    rooms = np.array(ROOMS)
    return Survey("tiny", names, positions, edges, rooms, ROOM_KINDS, objects, areas, distances)


@pytest.fixture(scope="module")
def survey() -> Survey:
    return make_survey()


@pytest.fixture(scope="module")
def routes(survey) -> Routes:
    return Routes.of(survey)


def _plan(*mentions: tuple, goal: Landmark) -> list[Clause]:
    clauses = [Clause(kind, 0, 1, room) for kind, room in mentions]
    return [*clauses, Clause("stop", 1, 1, "", goal)]


def test_routes_are_shortest_and_check_the_limits_of_r2r(survey, routes):
    assert routes.path(5, 7) == (5, 4, 0, 1, 2, 6, 7)
    assert routes.lengths[5, 7] == pytest.approx(12)
    assert routes.fits_r2r(routes.path(5, 7))
    assert not routes.fits_r2r(routes.path(4, 1))  # 2 edges


def test_visits_split_a_path_by_rooms(survey, routes):
    visits = [(v.room, v.first, v.last) for v in room_visits(survey, routes.path(5, 7))]
    assert visits == [(1, 0, 1), (0, 2, 4), (2, 5, 6)]


def test_clauses_that_fit_two_goals_are_ambiguous(survey, routes):
    path = routes.path(7, 5)  # to the first bedroom
    vague = _plan(("leave", "kitchen"), ("enter", "bedroom"), goal=Landmark("bed", "", (0,)))
    clear = _plan(("leave", "kitchen"), ("enter", "bedroom"), goal=Landmark("bed", "blue", (0,)))
    assert not is_unambiguous(survey, routes, path, vague)
    assert is_unambiguous(survey, routes, path, clear)


def test_a_landmark_distinguishes_rooms_of_one_kind(survey, routes):
    path = routes.path(7, 4)
    detail = Clause("enter", 3, 4, "bedroom", Landmark("bed", "blue", (0,)))
    stop = Clause("stop", 4, 4, "", Landmark("wardrobe", "", (1,)))
    assert is_unambiguous(survey, routes, path, [detail, stop])
    wrong = Clause("enter", 3, 4, "bedroom", Landmark("bed", "red", (4,)))
    desk = Clause("stop", 4, 4, "", Landmark("desk", "", (5,)))
    assert not is_unambiguous(survey, routes, path, [wrong, desk])  # the other bedroom


def test_rooms_must_be_in_the_order_of_the_clauses(survey, routes):
    path = routes.path(5, 9)
    goal = Landmark("bed", "", (4,))
    ordered = _plan(("leave", "bedroom"), ("through", "hallway"), ("enter", "bedroom"), goal=goal)
    assert is_unambiguous(survey, routes, path, ordered)
    through_kitchen = _plan(("enter", "kitchen"), ("enter", "bedroom"), goal=goal)
    # No path fits these clauses, in particular none to the other bedroom.
    assert is_unambiguous(survey, routes, path, through_kitchen)


def test_a_room_can_be_entered_and_walked_through(survey, routes):
    rooms = [
        ("leave", "kitchen"),
        ("enter", "hallway"),
        ("through", "hallway"),
        ("enter", "bedroom"),
    ]
    path = routes.path(7, 5)
    vague, clear = Landmark("bed", "", (0,)), Landmark("bed", "blue", (0,))
    assert not is_unambiguous(survey, routes, path, _plan(*rooms, goal=vague))
    assert is_unambiguous(survey, routes, path, _plan(*rooms, goal=clear))
    # A path that starts in the kitchen does not enter it, so that no path fits.
    again = _plan(("enter", "kitchen"), ("enter", "bedroom"), goal=vague)
    assert is_unambiguous(survey, routes, path, again)


def test_contrast_is_positive_only_towards_the_landmark(survey):
    fridge = Landmark("fridge", "", (2,))
    assert contrast(survey, fridge, 2, 6) > 0
    assert contrast(survey, fridge, 2, 3) < 0


def test_references_use_a_colour_or_a_plural_if_the_noun_fits_two_objects(survey):
    rng = np.random.default_rng(0)
    words = {
        landmark.words
        for _ in range(20)
        for landmark, _ in references(survey, 6, range(len(THINGS)), rng)
    }
    assert {"fridge", "white fridge", "chairs"} <= words
    assert not {"chair", "green chair"} & words


def test_waymarks_are_ahead(survey, routes):
    path = routes.path(5, 7)
    options = waymark_options(survey, path, np.random.default_rng(0))
    assert options
    for clause, weight in options:
        assert weight > 0
        assert clause.landmark is not None
        here, there = path[clause.first], path[clause.last]
        assert contrast(survey, clause.landmark, here, there) > 0


def test_three_different_instructions_end_at_the_goal(survey, routes):
    path = routes.path(5, 7)
    for seed in range(10):
        written = write_instructions(survey, routes, path, np.random.default_rng(seed))
        texts = [instruction.text for instruction in written]
        assert len(set(texts)) == 3
        for instruction in written:
            assert re.fullmatch(r"[A-Z][^.]*\.( [A-Z][^.]*\.)*", instruction.text)
            assert "kitchen" in instruction.text
            last = instruction.spans[-1]
            assert re.match("(?i)stop|wait", instruction.text[last.start : last.end])
            assert survey.gaps[7, last.things[0]] <= 1.6


def test_spans_cover_the_clauses_in_order(survey, routes):
    path = routes.path(5, 7)
    written = write_instructions(survey, routes, path, np.random.default_rng(1))
    for instruction in written:
        ends = [0]
        for span in instruction.spans:
            assert ends[-1] <= span.start < span.end <= len(instruction.text)
            assert 0 <= span.first <= span.last < len(path)
            ends.append(span.end)


def test_an_instruction_has_at_most_one_turn(survey, routes):
    for seed in range(30):
        for instruction in write_instructions(
            survey, routes, routes.path(5, 7), np.random.default_rng(seed)
        ):
            turns = re.findall(r"(?i)(?:turn|go|take a) (?:left|right)", instruction.text)
            assert len(turns) <= 1


def test_a_goal_without_a_landmark_has_no_instruction(survey, routes):
    bare = Survey(
        **{
            **{name: getattr(survey, name) for name in survey.__dataclass_fields__},
            "areas": np.zeros_like(survey.areas),
        }
    )
    path = routes.path(5, 7)
    assert write_instructions(bare, routes, path, np.random.default_rng(0)) == []


def test_plan_sorts_clauses_along_the_path(survey, routes):
    path = routes.path(5, 7)
    goal = Landmark("fridge", "", (2,))
    for seed in range(10):
        clauses = plan_clauses(survey, path, goal, [], np.random.default_rng(seed))
        firsts = [clause.first for clause in clauses]
        assert firsts == sorted(firsts)
        assert clauses[-1].kind == "stop"
        assert any(clause.kind == "enter" and clause.room == "kitchen" for clause in clauses)


def test_a_bent_hallway_is_mentioned_once(survey):
    bent = replace(survey, room_kinds=("hallway", "bedroom", "hallway", "bedroom"))
    goal = Landmark("fridge", "", (2,))
    for seed in range(40):
        clauses = plan_clauses(bent, (5, 4, 0, 1, 2, 6, 7), goal, [], np.random.default_rng(seed))
        hallways = [c for c in clauses if c.room == "hallway" and c.kind != "stop"]
        assert len(hallways) <= 1


def test_a_turn_can_share_its_verb_with_the_next_room():
    clauses = [
        Clause("leave", 0, 1, "bedroom"),
        Clause("turn", 1, 1, side="left"),
        Clause("enter", 1, 2, "kitchen"),
        Clause("stop", 2, 2, "", Landmark("fridge", "red", (0,))),
    ]
    texts = [realise_clauses(clauses, np.random.default_rng(seed)).text for seed in range(40)]
    assert any(re.search(r"left into the kitchen", text) for text in texts)
    assert all("the red fridge" in text for text in texts)


def test_episodes_with_one_start_have_distant_goals(survey, routes):
    taken: set[tuple[int, int]] = set()
    rng = np.random.default_rng(0)
    paths = choose_episodes(survey, routes, 12, 4, taken, lambda path: path, rng)
    assert len(paths) == len(set(paths)) == 12
    assert {(path[0], path[-1]) for path in paths} <= taken
    assert all(routes.fits_r2r(path) for path in paths)
    goals = {}
    for path in paths:
        goals.setdefault(path[0], []).append(path[-1])
    for ends in goals.values():
        apart = [routes.lengths[a, b] for a in ends for b in ends if a != b]
        assert min(apart, default=9) > 3.0


def test_a_house_with_few_paths_returns_fewer_episodes(survey, routes):
    rng = np.random.default_rng(0)
    paths = choose_episodes(survey, routes, 1000, 4, set(), lambda path: path, rng)
    allowed = sum(routes.fits_r2r(path) for s in range(len(ROOMS)) for path in routes.from_start(s))
    assert len(paths) <= allowed
    assert choose_episodes(survey, routes, 5, 4, set(), lambda path: None, rng) == []


@pytest.fixture(scope="module")
def upstairs() -> tuple[Survey, Routes]:
    """The house with a staircase behind the kitchen and another kitchen above it."""
    flat = make_survey()
    fields = {name: getattr(flat, name) for name in flat.__dataclass_fields__}
    edges = np.zeros((12, 12), bool)
    edges[:10, :10] = flat.edges
    for i, j in ((7, 10), (10, 11)):
        edges[i, j] = edges[j, i] = True
    # The view upstairs is that of the kitchen below.
    copied = [*range(10), 7, 7]
    fields |= {
        "viewpoints": (*flat.viewpoints, "stairs", "above"),
        "positions": np.concatenate([flat.positions, [[6.5, 5.5], [5.0, 4.2]]]),
        "edges": edges,
        "rooms": np.array([*flat.rooms, 4, 2]),
        "room_kinds": (*flat.room_kinds, "staircase"),
        "areas": flat.areas[copied],
        "distances": flat.distances[copied],
        "heights": np.array([1.5] * 10 + [2.9, 4.4]),
    }
    survey = Survey(**fields)
    return survey, Routes.of(survey)


def test_stairs_are_mentioned_and_distinguish_storeys(upstairs):
    survey, routes = upstairs
    path = routes.path(0, 11)
    assert flights(survey, path) == [("up", 4, 6)]
    assert flights(survey, path[::-1]) == [("down", 0, 2)]
    goal = Landmark("fridge", "", (2,))
    clauses = plan_clauses(survey, path, goal, [], np.random.default_rng(0))
    assert [clause.kind for clause in clauses].count("up") == 1
    assert not any(clause.room == "staircase" for clause in clauses)
    text = realise_clauses(clauses, np.random.default_rng(0)).text.lower()
    assert re.search("(go|walk) up the stairs|climb the stairs", text)
    # Without the stairs, the clauses also fit the fridge downstairs.
    level = _plan(("enter", "kitchen"), goal=goal)
    assert not is_unambiguous(survey, routes, path, level)
    assert is_unambiguous(survey, routes, path, [Clause("up", 4, 6), *level])
