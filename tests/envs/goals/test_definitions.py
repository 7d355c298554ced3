"""Scores by hand, and by a second derivation on random predictions."""

import math
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest

from clipnav.envs.episodes import Episode
from clipnav.envs.goals import cvdn, objectnav, reverie, soon
from clipnav.envs.goals.cvdn import DialogGoal
from clipnav.envs.goals.scores import Walked
from clipnav.envs.goals.soon import SoonGoal
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph
from tests.conftest import connectivity_records

RANDOM = 2000
# Places a to f in a row, 2 m apart.
LINE = NavGraph(
    "line",
    connectivity_records(
        {x: (2.0 * i, 0) for i, x in enumerate("abcdef")}, set("ab bc cd de ef".split())
    ),
)


def scored(room, goal, path, walk, definition, answer=None, graph=LINE):
    episode = Episode("1", 1, graph.scan, tuple(path), 0.0, "Go.", "en", target=goal)
    return room._score(Walked(graph, walk), episode, answer, definition)


def test_reverie_by_hand():
    goal = Goal(("d", "e"), 0.0, "d", "7")
    one, other, scale = "official", "duet", "with_success"
    # Success is at a viewpoint that sees the object: 2 m beside it is not enough.
    assert scored(reverie, goal, "abcd", "abc", one)["success"] == 0
    assert scored(reverie, goal, "abcd", "abcde", one)["success"] == 1
    # An agent that names the object from elsewhere: RGS counts without success.
    beside = {d: scored(reverie, goal, "abcd", "ab", d, "7") for d in (one, other, scale)}
    assert [s["rgs"] for s in beside.values()] == [1, 1, 0]
    assert [s["rgspl"] for s in beside.values()] == [1, 1, 0]
    # The annotated path has a detour of 4 m: SPL is relative to 6 m, in DUET to 10 m.
    detour = {d: scored(reverie, goal, "abcbcd", "abcbcd", d, "7") for d in (one, other)}
    assert [s["spl"] for s in detour.values()] == [0.6, 1]
    # Start = goal without a move: official 0 / 0, in DUET 0.
    stay = {d: scored(reverie, replace(goal, spl_end="d"), "d", "d", d, "7") for d in (one, other)}
    assert [s["spl"] for s in stay.values()] == [1, 0]
    assert [s["rgspl"] for s in stay.values()] == [1, 0]
    # No answer is wrong.
    assert scored(reverie, goal, "abcd", "abcd", one)["rgs"] == 0


def box(left, right, low=0.4, high=0.6):
    """Centre and corners in fractions of a turn; left > right crosses heading 0."""
    middle = (left + (right - left) % 1 / 2) % 1
    return (middle, (low + high) / 2), (left, high), (right, high), (right, low), (left, low)


def test_soon_by_hand():
    goal = SoonGoal(("d", "e"), boxes=(box(0.2, 0.3), box(0.95, 0.05)))
    for definition in soon.SCORES.definitions:
        inside = scored(soon, goal, "abcd", "abcd", definition, (0.25, 0.5))
        assert (inside["det_success"], inside["det_spl"]) == (1, 1)
        border = scored(soon, goal, "abcd", "abcd", definition, (0.2, 0.5))
        assert border["det_success"] == 0
        elsewhere = scored(soon, goal, "abcd", "abc", definition, (0.25, 0.5))
        assert (elsewhere["success"], elsewhere["det_success"]) == (1, 0)
        assert scored(soon, goal, "abcd", "abcd", definition)["det_success"] == 0
    # Across heading 0 the published polygon is the rest of the picture.
    across = [
        scored(soon, goal, "abcd", "abcde", d, (heading, 0.5))["det_success"]
        for d in soon.SCORES.definitions
        for heading in (0.99, 0.01, 0.5)
    ]
    assert across == [1, 1, 0, 0, 0, 1]
    # The walk ends at f, which sees the object, 4 m from the end of the path: a success; the
    # published oracle stops nearest to d and measures from there to f.
    far = SoonGoal(("d", "f"), boxes=(box(0.2, 0.3), box(0.2, 0.3)))
    published, ours = (scored(soon, far, "abcd", "abcdef", d) for d in ("soon", "unwrapped"))
    assert (published["success"], published["oracle_success"], published["oracle_error"]) == (
        1,
        0,
        4,
    )
    assert (ours["success"], ours["oracle_success"]) == (1, 1)
    assert published["goal_progress"] == 10


def test_cvdn_by_hand():
    goal = DialogGoal(("e", "f"), 0.0, planner_path=("a", "b", "c"), player_path=("a", "b"))
    assert goal.trusted_path == ("a", "b", "c")
    assert replace(goal, player_path=("a", "b", "c", "d")).trusted_path == ("a", "b", "c", "d")
    # The first viewpoint does not count, even if it is the planner's end.
    assert replace(goal, planner_path=("a",), player_path=("a", "b")).trusted_path == ("a",)
    walk = scored(cvdn, goal, "abc", "abcd", "planner")
    assert walk["goal_progress"] == 6
    assert (walk["success"], walk["spl"]) == (1, pytest.approx(2 / 3))
    assert scored(cvdn, goal, "abc", "abcd", "player")["success"] == 0
    hamt = scored(cvdn, goal, "abc", "abcd", "hamt")
    assert (hamt["success"], hamt["nav_error"]) == (0, 2)
    assert scored(cvdn, goal, "abc", "abcdef", "hamt")["spl"] == pytest.approx(0.8)
    away = DialogGoal(("a",), 0.0, planner_path=("b", "a"), player_path=("b", "a"))
    assert scored(cvdn, away, "ba", "bcd", "trusted")["goal_progress"] == -4
    # A question within the region, answered by staying: 1 in the official scores, 0 in HAMT's.
    here = DialogGoal(("a",), 0.0, planner_path=("a",), player_path=("a",))
    assert [scored(cvdn, here, "a", "a", d)["spl"] for d in ("trusted", "hamt")] == [1, 0]
    assert scored(cvdn, here, "a", "ab", "trusted")["spl"] == 0


def test_object_goals_by_hand():
    goal = Goal(("d", "f"), category="chair")
    near = scored(objectnav, goal, "ab", "abc", "nearest")
    assert (near["nav_error"], near["success"], near["spl"]) == (2, 1, 1)
    assert near["soft_spl"] == pytest.approx(2 / 3)
    assert scored(objectnav, goal, "ab", "ab", "nearest")["success"] == 0
    # In SAME's definition the end of the person's path is a goal too, and sets the reference.
    assert scored(objectnav, goal, "ab", "ab", "same")["success"] == 1
    assert scored(objectnav, goal, "ab", "abc", "same")["spl"] == 0.5
    # SAME's list of goals grows with each evaluation; here a second one gives the same scores.
    again = scored(objectnav, goal, "ba", "ab", "same"), scored(objectnav, goal, "ab", "ab", "same")
    assert again[1] == scored(objectnav, goal, "ab", "ab", "same")
    assert goal.viewpoints == ("d", "f")


@pytest.fixture(scope="module")
def house():
    return NavGraph.load("house_00")


@pytest.fixture(scope="module")
def metres(house):
    """Distances by networkx."""
    return dict(nx.all_pairs_dijkstra_path_length(house.to_networkx()))


def random_walk(house, rng, size):
    path = [str(rng.choice(house.viewpoint_ids))]
    for _ in range(size):
        path.append(str(rng.choice(house.neighbours(path[-1]))))
    return path


def predictions(house, metres, seed):
    """Random ends, reference path, walk from its start and length of the walk."""
    rng = np.random.default_rng(seed)
    for _ in range(RANDOM):
        path = random_walk(house, rng, rng.integers(5))
        near = sorted(house.viewpoint_ids, key=metres[path[-1]].__getitem__)
        ends = tuple(rng.choice(near[:12], rng.integers(1, 4), replace=False).tolist())
        walk = path[: rng.integers(1, len(path) + 1)]
        for _ in range(rng.integers(3)):
            walk = [*walk, str(rng.choice(house.neighbours(walk[-1])))]
        yield rng, ends, path, walk, sum(metres[a][b] for a, b in pairwise(walk))


def ratio(best, length, empty=0.0):
    return best / max(best, length) if max(best, length) > 0.01 else empty


def agree(scores, expected):
    for name, value in expected.items():
        assert scores[name] == pytest.approx(float(value), abs=1e-9), name


def test_random_predictions_of_reverie(house, metres):
    for rng, ends, path, walk, length in predictions(house, metres, 1):
        answer = (None, "7", "8")[rng.integers(3)]
        goal = Goal(ends, 0.0, path[-1], "7")
        success, right = walk[-1] in ends, answer == "7"
        walked = sum(metres[a][b] for a, b in pairwise(path))
        for definition in reverie.SCORES.definitions:
            official = definition == "official"
            share = ratio(
                metres[path[0]][path[-1]] if official else walked, length, float(official)
            )
            named = right and (success or definition != "with_success")
            expected = {
                "success": success,
                "oracle_success": any(v in ends for v in walk),
                "spl": success * share,
                "rgs": named,
                "rgspl": named * share,
            }
            agree(scored(reverie, goal, path, walk, definition, answer, house), expected)


def test_random_predictions_of_soon(house, metres):
    crossed = 0
    for rng, ends, path, walk, length in predictions(house, metres, 2):
        boxes = []
        for _ in ends:
            left, low = rng.random(), rng.uniform(0.2, 0.6)
            boxes.append(box(left, (left + rng.uniform(0.02, 0.4)) % 1, low, low + 0.2))
        goal = SoonGoal(ends, boxes=tuple(boxes))
        answer = rng.random(), rng.uniform(0.2, 0.8)
        seen = walk[-1] in ends
        pointed = False
        if seen:
            _, (left, high), (right, _), (_, low), _ = boxes[ends.index(walk[-1])]
            crossed += left > right
            pointed = (answer[0] - left) % 1 < (right - left) % 1 and low < answer[1] < high
        aim = walk[-1] if seen else path[-1]
        success = metres[walk[-1]][aim] < 3
        share = ratio(metres[path[0]][aim], length)
        expected = {
            "nav_error": metres[walk[-1]][aim],
            "success": success,
            "oracle_error": min(0 if v in ends else metres[v][path[-1]] for v in walk),
            "goal_progress": metres[path[0]][aim] - metres[walk[-1]][aim],
            "spl": success * share,
            "det_success": pointed,
            "det_spl": pointed * share,
        }
        agree(scored(soon, goal, path, walk, "unwrapped", answer, house), expected)
    assert crossed > 50


def test_points_in_random_polygons_lie_on_one_side_of_all_edges():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(RANDOM):
        angles = np.sort(rng.uniform(0, math.tau, 4))
        if np.diff([*angles, angles[0] + math.tau]).max() > math.pi:
            continue
        corners = list(zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True))
        point = rng.uniform(-1, 1, 2)
        sides = [
            float(np.linalg.det([np.subtract(b, a), point - a]))
            for a, b in pairwise([*corners, corners[0]])
        ]
        expected = min(sides) > 0
        found += expected
        assert soon.inside(tuple(point), corners) == soon.inside(tuple(point), corners[::-1])
        assert soon.inside(tuple(point), corners) == expected
    assert found > 100


def test_random_predictions_of_cvdn(house, metres):
    for rng, ends, path, walk, length in predictions(house, metres, 4):
        player = [path[0], *random_walk(house, rng, 2)[1:]] if rng.random() < 0.5 else path
        goal = DialogGoal(ends, 0.0, planner_path=tuple(path[:2]), player_path=tuple(player))
        trusted = player if path[:2][-1] in player[1:] else path[:2]
        region = {v: min(metres[v][e] for e in ends) for v in (path[0], *walk)}
        progress = region[path[0]] - region[walk[-1]]
        for name, used in (("planner", path[:2]), ("player", player), ("trusted", trusted)):
            error = [metres[v][used[-1]] for v in walk]
            success, best = error[-1] < 3, metres[path[0]][used[-1]]
            expected = {
                "nav_error": error[-1],
                "success": success,
                "oracle_success": min(error) < 3,
                "path_success": min(metres[v][path[:2][-1]] for v in walk) < 3,
                "spl": success * (best / max(best, length) if best else length == 0),
                "goal_progress": progress,
            }
            agree(scored(cvdn, goal, path, walk, name, None, house), expected)
        expected = {
            "success": walk[-1] in ends,
            "oracle_success": any(v in ends for v in walk),
            "spl": (walk[-1] in ends) * ratio(region[path[0]], length),
            "goal_progress": progress,
        }
        agree(scored(cvdn, goal, path, walk, "hamt", None, house), expected)


def test_random_predictions_of_object_goals(house, metres):
    for _, ends, path, walk, length in predictions(house, metres, 5):
        for definition, goals in (("nearest", ends), ("same", (*ends, path[-1]))):
            errors = [min(metres[v][g] for g in goals) for v in walk]
            walked = sum(metres[a][b] for a, b in pairwise(path))
            share = ratio(errors[0] if definition == "nearest" else walked, length)
            expected = {
                "nav_error": errors[-1],
                "success": errors[-1] < 3,
                "oracle_success": min(errors) < 3,
                "spl": (errors[-1] < 3) * share,
                "soft_spl": max(0, 1 - errors[-1] / max(errors[0], 0.01)) * share,
            }
            scores = scored(objectnav, Goal(ends), path, walk, definition, None, house)
            agree(scores, expected)
