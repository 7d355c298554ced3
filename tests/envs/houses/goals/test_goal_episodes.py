"""Episodes with goals of a house: their targets, texts, paths, boxes and dialogs."""

import re
from itertools import pairwise

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.envs.goals.boxes import SeenObject, seen_objects
from clipnav.envs.goals.reverie import ViewBoxes
from clipnav.envs.goals.soon import inside
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.goals.boxes import REACH, Looks
from clipnav.envs.houses.goals.descriptions import Things
from clipnav.envs.houses.goals.episodes import (
    DIALOG_EDGES,
    SOON_EDGES,
    GoalEpisodes,
    Scenery,
    box_corners,
)
from clipnav.envs.houses.goals.texts import LANGUAGES, GoalWriter
from clipnav.envs.houses.language.grammar import parse
from clipnav.envs.houses.language.grammars.languages import language_of
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.symbolic_follower import follow
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.panoramas.cameras import perspective_camera
from clipnav.envs.panoramas.ray_tracer import RayTracer

SPEC = MINI.specs["house_01"]
COUNT = 10


@pytest.fixture(scope="module")
def house():
    return HousePanoramas().house(SPEC.scan)


@pytest.fixture(scope="module")
def tracer(house):
    return RayTracer(house.scene)


@pytest.fixture(scope="module")
def records():
    return read_connectivity(SPEC.scan, MINI.connectivity_dir)


@pytest.fixture(scope="module")
def scenery(house, tracer, records):
    return Scenery.of(house, tracer, records)


@pytest.fixture(scope="module")
def made(scenery):
    """The episodes of two splits."""
    episodes = GoalEpisodes(scenery, np.random.default_rng(5))
    return episodes, episodes.split(COUNT, 1000), episodes.split(COUNT, 1500)


@pytest.fixture(scope="module")
def graph():
    return NavGraph.load(SPEC.scan, MINI.connectivity_dir)


@pytest.fixture(scope="module")
def facts(house):
    """Corners, storey and noun of each object, for `brute_force`."""
    objects, rooms = house.scene.objects, house.plan.rooms
    lower, upper = (np.array([getattr(o, name) for o in objects]) for name in ("lower", "upper"))
    storeys = np.array([house.plan.storey_at(max(o.lower[2], 0) + 0.01) for o in objects])
    storeys = np.array(
        [rooms[o.room].storey if o.room >= 0 else s for o, s in zip(objects, storeys, strict=True)]
    )
    return lower, upper, storeys, np.array(Things(house).nouns)


def brute_force(house, facts, one, slack):
    """Objects that a description fits, found anew from boxes and rooms.

    Args:
        slack: Metres by which a relation may be judged more loosely.
    """
    objects, rooms = house.scene.objects, house.plan.rooms
    lower, upper, storeys, nouns = facts
    fitting = []
    for index, thing in enumerate(objects):
        right = nouns[index] == one.noun
        right &= thing.colour == (one.colour or thing.colour)
        right &= thing.material == (one.material or thing.material)
        right &= one.storey in (-1, storeys[index])
        right &= thing.room >= 0 and rooms[thing.room].kind == one.room
        if not right:
            continue
        others = (nouns == one.landmark) & (np.arange(len(nouns)) != index)
        others &= storeys == storeys[index]
        if one.relation == "next":
            apart = np.maximum(lower - upper[index], lower[index] - upper).clip(0)[:, :2]
            right = (others & (np.hypot(*apart.T) <= 0.5 + slack)).any()
        elif one.relation == "on":
            middle = (lower[index] + upper[index])[:2] / 2
            above = np.abs(lower[index, 2] - upper[:, 2]) <= 0.05 + slack
            over = (lower[:, :2] - slack - 0.05 <= middle) & (middle <= upper[:, :2] + 0.05 + slack)
            right = (others & above & over.all(1)).any()
        if right:
            fitting.append(index)
    return fitting


def test_descriptions_fit_one_object_by_brute_force(house, facts):
    things = Things(house)
    kinds = set()
    for index in filter(things.is_target, range(len(house.scene.objects))):
        for one in things.descriptions(index):
            assert brute_force(house, facts, one, 0.2) == [index], one
            assert index in brute_force(house, facts, one, 0.0)
            kinds.add((bool(one.colour), bool(one.material), one.relation, one.storey >= 0))
    # All parts of descriptions occur.
    assert {relation for _, _, relation, _ in kinds} == {"", "on", "next"}
    assert len(kinds) > 8


def test_most_objects_have_a_description(house):
    things = Things(house)
    targets = [i for i in range(len(house.scene.objects)) if things.is_target(i)]
    described = [i for i in targets if next(things.descriptions(i), None)]
    assert len(described) > 0.6 * len(targets)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_texts_have_all_their_words(house, tag):
    writer = GoalWriter(tag, np.random.default_rng(0))
    things = Things(house)
    letters = {"en": "a-z", "hi-IN": "\u0900-\u097f", "te-IN": "\u0c00-\u0c7f\u200c"}[tag]
    plain = re.compile(f"[{letters}\\-,' .?\u0964]+", re.IGNORECASE)
    texts = 0
    for _ in range(50):
        assert plain.fullmatch(writer.question(["kitchen", "hallway"]))
    for index in filter(things.is_target, range(len(house.scene.objects))):
        for one in list(things.descriptions(index))[:6]:
            if not writer.knows(one):
                continue
            parts = writer.parts(one, "kitchen")
            target = one.noun if tag == "en" else writer.target(one.noun)
            for text in (target, writer.task(one), writer.category(one.noun), *parts.values()):
                assert not text or plain.fullmatch(text), text
            assert bool(parts["relation"]) == bool(one.relation)
            assert bool(parts["attribute"]) == bool(one.colour or one.material)
            texts += 1
    assert texts > 100


def test_boxes_show_their_objects(scenery, tracer, records, house):
    """Most rays to the middle of a box hit its object, and objects in it are near."""
    eyes = {r["image_id"]: np.array(r["pose"]).reshape(4, 4)[:3, 3] for r in records}
    hit = total = 0
    for viewpoint, seen in list(scenery.looks.boxes.items())[::5]:
        converted = {
            str(thing): ViewBoxes(tuple(boxes), tuple(boxes.values()), "")
            for thing, boxes in seen.items()
        }
        for one in seen_objects(converted, "", ""):
            heading, elevation, field = one.crop
            camera = perspective_camera((9, 9), heading, elevation, field)
            x, y = np.meshgrid(np.arange(9) + 0.5, np.arange(9) + 0.5)
            depth, ids = tracer.first_hits(eyes[viewpoint], camera(x, y).reshape(-1, 3))
            own = ids == int(one.object_id)
            hit += own.any()
            total += 1
            assert not own.any() or depth[own].min() < REACH + 0.1
    assert total > 100
    assert hit > 0.97 * total


def test_looks_are_written_in_the_form_of_reverie(scenery):
    looks: Looks = scenery.looks
    records = looks.records(SPEC.scan)
    assert len(records) == len(scenery.survey.viewpoints)
    for objects in records.values():
        for thing, entry in objects.items():
            assert entry["name"] == looks.nouns[int(thing)]
            assert len(entry["visible_pos"]) == len(entry["bbox2d"]) > 0


def test_tasks_start_out_of_sight_and_end_at_the_nearest_view(scenery, made, graph):
    seen: set[tuple[str, int]] = set()
    for split in made[1:]:
        assert len(split["reverie"]) == len(split["soon"]) == COUNT
        for kind, (fewest, most) in (("reverie", (4, 7)), ("soon", SOON_EDGES)):
            for record in split[kind]:
                path = record["path"]
                target = record.get("objId")
                if target is None:
                    target = record["bboxes"][0]["pseudo_label"]["obj_id"]
                ends = scenery.looks.viewpoints(target)
                to_ends = [graph.geodesic(path[0], end) for end in ends]
                assert path[-1] in ends
                assert graph.path_length(path) == pytest.approx(min(to_ends))
                assert all(graph.geodesic(*pair) > 0 for pair in pairwise(path))
                assert fewest <= len(path) - 1 <= most
                start = scenery.survey.viewpoints.index(path[0])
                assert np.isinf(scenery.survey.distances[start, target])
                assert (kind, path[0], target) not in seen
                seen.add((kind, path[0], target))


def test_texts_of_a_target_are_in_all_languages(made):
    for record in made[1]["reverie"]:
        assert record["languages"] == ["en", "en", "en", "hi-IN", "te-IN"]
        assert len(record["instructions"]) == 5
    for record in made[1]["soon"]:
        assert [text["language"] for text in record["instructions"]] == ["en", *LANGUAGES]


def test_boxes_of_soon_contain_the_direction_of_their_boxes():
    rng = np.random.default_rng(1)
    for view in np.repeat(np.arange(36), 5).tolist():
        left, top = rng.integers(0, (600, 440)).tolist()
        width, height = rng.integers(4, (641 - left, 481 - top)).tolist()
        corners = box_corners({view: (left, top, width, height)})
        middle = corners.pop("center")
        heading, elevation = SeenObject("", "", view, (left, top, width, height)).direction
        assert np.cos(middle["heading"] - heading) == pytest.approx(1)
        assert middle["elevation"] == pytest.approx(elevation, abs=1e-4)
        turned = [
            ((c["heading"] - heading + np.pi) % (2 * np.pi), c["elevation"])
            for c in corners.values()
        ]
        assert inside((np.pi, elevation), turned)


def test_dialogs_lead_on_to_the_region(scenery, made, graph):
    questions, names = 0, []
    for record in (record for split in made[1:] for record in split["cvdn"]):
        start, ends = record["start_pano"]["pano"], record["end_panos"]
        remaining = min(graph.geodesic(start, end) for end in ends)
        planned = min(graph.geodesic(record["planner_path"][-1], end) for end in ends)
        assert record["planner_path"][0] == record["player_path"][0] == start
        assert len(record["planner_path"]) <= 6
        assert planned < remaining
        assert len(record["nav_history"]) <= DIALOG_EDGES[1]
        roles = [turn["role"] for turn in record["dialog_history"]]
        assert roles == ["navigator", "oracle"] * (len(roles) // 2)
        questions += len(roles) // 2
        names.append(record["inst_idx"])
        rooms = {scenery.survey.rooms[scenery.survey.viewpoints.index(end)] for end in ends}
        assert len(rooms) == 1
    assert questions > 0
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_answers_lead_along_the_planned_path(scenery, made, tag):
    records = [record for record in made[1]["cvdn"] if record["language"] == tag]
    sight, answers = Sight(scenery.survey), 0
    for record in filter(lambda record: record["dialog_history"], records):
        acts = parse(language_of(LANGUAGES[tag]), record["dialog_history"][-1]["message"])
        assert acts
        start, *_, end = scenery.numbers(record["planner_path"])
        followed = follow(sight, acts, start, record["start_pano"]["heading"])
        assert followed.is_complete
        assert scenery.routes.lengths[followed.path[-1], end] <= SUCCESS_THRESHOLD
        answers += 1
    assert answers > 0


def test_a_dialog_is_the_same_walk_in_all_languages(made):
    def walk(record):
        texts = {"inst_idx", "game_idx", "target", "dialog_history", "language"}
        return {key: value for key, value in record.items() if key not in texts}

    english, *others = (
        [record for record in made[1]["cvdn"] if record["language"] == tag] for tag in LANGUAGES
    )
    walks = [walk(record) for record in english]
    for translated in others:
        assert all(walk(record) in walks for record in translated)
        assert {r["scan"] for r in translated} == {r["scan"] for r in english}
        assert len(translated) > len(english) / 2
        # A dialog calls its target by one name.
        for game in {record["game_idx"] for record in translated}:
            assert len({r["target"] for r in translated if r["game_idx"] == game}) == 1


def test_categories_are_observed_at_the_ends_of_paths(scenery, made):
    observed = made[0].observed()
    for episode in made[1]["objectnav"]:
        ids = observed[episode["goals_key"]][-1]["all_observation_viewpoint_ids"]
        assert episode["path"][-1] in ids
        assert not set(episode["path"][:-1]) & set(ids)
        noun = episode["goals_key"].rpartition(".glb_")[2].replace("_", " ")
        things = [i for i, name in enumerate(scenery.looks.nouns) if name == noun]
        views = {v for index in things for v in scenery.looks.viewpoints(index)}
        assert set(ids) <= views


def test_equal_seeds_give_equal_episodes(scenery, made):
    again = GoalEpisodes(scenery, np.random.default_rng(5)).split(2, 1000)
    assert again["reverie"] == made[1]["reverie"][:2]
