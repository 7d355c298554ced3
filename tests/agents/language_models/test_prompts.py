"""Numbers of places, words of options, pictures of prompts, and subsets."""

import math
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.agents.language_models.evaluation.evaluating import balanced_subset, subset_digest
from clipnav.agents.language_models.prompts import pictures
from clipnav.agents.language_models.prompts.observations import (
    KnownPlaces,
    ObservedCandidate,
    direction_words,
    make_options,
    one_line,
    views_around,
)
from clipnav.agents.language_models.prompts.pictures import HouseDescriptions
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.language_models.strategies import mapgpt_prompt, plain_prompt
from clipnav.agents.language_models.walks.asking import WalkSettings
from clipnav.agents.language_models.walks.running import VlmWalkMaker
from clipnav.envs.episodes import base_language
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.models.scene import ObjectInfo
from clipnav.envs.pictures.view_pictures import ViewPose


def candidate(viewpoint, degrees=0.0, rise=0.0, action=1):
    return ObservedCandidate(action, viewpoint, math.radians(degrees), 2.04, rise)


class TestPlaces:
    def test_numbers_follow_first_sight_and_stay(self):
        places = KnownPlaces()
        places.arrive("s", "start", [candidate("x"), candidate("y")])
        places.arrive("s", "y", [candidate("z"), candidate("start")])
        places.arrive("s", "start", [candidate("x"), candidate("y")])
        assert places.trajectory == [0, 2, 0]
        assert places.connections == {0: (1, 2), 2: (3, 0)}

    def test_a_picture_shows_the_place_from_where_it_was_last_seen(self):
        places = KnownPlaces()
        places.arrive("s", "start", [candidate("x", 10), candidate("y", 90)])
        assert 0 not in places.views
        assert places.views[1] == ViewPose("s", "start", math.radians(10))
        places.arrive("s", "y", [candidate("x", 200), candidate("start", 270)])
        assert places.views[1] == ViewPose("s", "y", math.radians(200))
        assert places.views[0] == ViewPose("s", "y", math.radians(270))


class TestWords:
    @pytest.mark.parametrize(
        ("degrees", "words"),
        [
            (0, "straight ahead"),
            (4.9, "straight ahead"),
            (-42, "40 degrees to the left"),
            (90, "90 degrees to the right"),
            (179, "straight behind"),
            (-179, "straight behind"),
        ],
    )
    def test_directions_in_degrees(self, degrees, words):
        assert direction_words(math.radians(degrees)) == words

    @pytest.mark.parametrize(
        ("degrees", "word"),
        [(0, "ahead"), (44, "ahead"), (60, "right"), (-60, "left"), (170, "behind")],
    )
    def test_directions_as_one_word(self, degrees, word):
        assert direction_words(math.radians(degrees), "words") == word

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 8, 12])
    @pytest.mark.parametrize("style", ["degrees", "words"])
    def test_views_around_have_different_directions(self, count, style):
        words = [words for words, _ in views_around(ViewPose("s", "v", 1.0), count, style)]
        assert len(set(words)) == count

    def test_options_name_height_and_visits(self):
        places = KnownPlaces()
        near = [candidate("x", 40, 0.5, 1), candidate("y", 200, -0.2, 2)]
        places.arrive("s", "y", [candidate("z", 0)])
        places.arrive("s", "z", near)
        options = make_options(near, places, ViewPose("s", "z", 0.0), True, PromptConfig())
        assert [(o.label, o.action, o.place, o.words) for o in options] == [
            ("A", 0, None, ""),
            ("B", 1, 2, "40 degrees to the right, 2.0 m, up"),
            ("C", 2, 0, "160 degrees to the left, 2.0 m, visited"),
        ]

    def test_labels_and_order_are_settings(self):
        places = KnownPlaces()
        near = [candidate("x", 40, action=1), candidate("y", 200, action=2)]
        places.arrive("s", "z", near)
        settings = PromptConfig(labels="numbers", option_order="clockwise")
        options = make_options(near, places, ViewPose("s", "z", 0.0), False, settings)
        assert [(o.label, o.action) for o in options] == [("2", 2), ("1", 1)]

    def test_more_options_than_letters_are_refused(self):
        places = KnownPlaces()
        near = [candidate(f"x{number}", 10, action=number) for number in range(1, 28)]
        places.arrive("s", "z", near)
        with pytest.raises(ValueError, match=r"27 options.*--labels numbers"):
            make_options(near, places, ViewPose("s", "z", 0.0), False, PromptConfig())

    def test_an_instruction_becomes_one_line(self):
        assert one_line('  Walk  past\n"it" {a}\t and stop. ') == 'Walk past "it" {a} and stop.'


def observation(houses, settings, moves=0):
    maker = VlmWalkMaker(houses, plain_prompt, WalkSettings(settings))
    walk = maker.start(houses.episodes[0].instr_id)
    for _ in range(moves):
        walk.take(walk.teacher_action())
    return walk._observation


class TestPictures:
    def pictures(self, prompt):
        return [part for part in prompt[1].parts if not isinstance(part, str)]

    def test_labels_come_before_their_pictures(self, houses):
        seen = observation(houses, PromptConfig())
        parts = plain_prompt(seen)[1].parts
        for option in seen.options[1:]:
            before = parts[parts.index(option.view) - 1]
            assert before.splitlines()[-1].startswith(f"{option.label}: place {option.place},")

    def test_the_number_of_earlier_pictures_is_limited(self, houses):
        full = observation(houses, PromptConfig(history_pictures=100), 4)
        few = replace(full, settings=PromptConfig(history_pictures=2))
        none = replace(full, settings=PromptConfig(history_pictures=0))
        counts = [len(self.pictures(plain_prompt(seen))) for seen in (full, few, none)]
        options = len(full.options) - 1
        assert counts[0] > options + 2
        assert counts[1:] == [options + 2, options]

    def test_egocentric_views_begin_ahead(self, houses):
        settings = PromptConfig(pictures="egocentric", egocentric_views=4)
        seen = observation(houses, settings)
        words = [words for words, _ in seen.around]
        turns = ["90 degrees to the right", "straight behind", "90 degrees to the left"]
        assert words == ["straight ahead", *turns]
        assert self.pictures(plain_prompt(seen)) == [view for _, view in seen.around]

    def test_mapgpt_shows_known_places_in_order_and_the_text_last(self, houses):
        seen = observation(houses, PromptConfig("mapgpt", history_pictures=100), 3)
        parts = mapgpt_prompt(seen)[1].parts
        images = [int(part.split()[1][:-1]) for part in parts if str(part).startswith("Image")]
        assert images == sorted(seen.views)
        assert "Action options" in parts[-1]

    def test_stop_can_be_withheld(self, houses):
        settings = PromptConfig(stop_after=2)
        stops = [observation(houses, settings, moves).options[0].place for moves in (0, 1, 2)]
        assert stops[0] is not None
        assert stops[1] is not None
        assert stops[2] is None


class TestSubsets:
    def test_paths_are_balanced_over_buildings_and_lengths(self, houses):
        subset = balanced_subset(houses.episodes, 216, 0)
        paths = {episode.path_id: episode for episode in subset}
        assert len(subset) == 216
        assert len(paths) == 72
        scans = Counter(episode.scan for episode in paths.values())
        assert set(scans.values()) == {12}
        lengths = Counter(len(episode.path) for episode in paths.values())
        assert max(lengths.values()) - min(lengths.values()) <= 6

    @pytest.mark.parametrize(("count", "paths"), [(3, 3), (6, 6), (12, 6), (18, 6), (19, 7)])
    def test_small_subsets_have_as_many_buildings_as_possible(self, houses, count, paths):
        subset = balanced_subset(houses.episodes, count, 0)
        assert len(subset) == count
        assert len({episode.path_id for episode in subset}) == paths
        assert len({episode.scan for episode in subset}) == min(count, 6)

    def test_small_subsets_have_all_languages(self):
        episodes = load_split("rxr", "val_unseen", features="none").episodes
        languages = Counter(base_language(one.language) for one in balanced_subset(episodes, 6, 0))
        assert len(languages) == len({base_language(one.language) for one in episodes}) > 1
        assert max(languages.values()) - min(languages.values()) <= 1

    def test_a_subset_depends_on_its_seed_only(self, houses):
        subsets = [balanced_subset(houses.episodes, 30, seed) for seed in (0, 0, 1)]
        assert subsets[0] == subsets[1] != subsets[2]
        digests = [subset_digest([e.instr_id for e in subset]) for subset in subsets]
        assert digests[0] == digests[1] != digests[2]

    def test_none_is_the_whole_split(self, houses):
        assert balanced_subset(houses.episodes, None, 0) == list(houses.episodes)


class FakeHouses:
    """House of one kitchen: a red stove ahead (north), a wall elsewhere."""

    def __init__(self):
        self.objects = [
            ObjectInfo(0, "wall", "white", "", 0, (0, 0, 0), (1, 1, 1)),
            ObjectInfo(1, "stove", "red", "", 0, (0, 0, 0), (1, 1, 1)),
        ]
        self.traced = 0

    def house(self, scan):
        rooms = [SimpleNamespace(kind="kitchen")]
        scene = SimpleNamespace(objects=self.objects)
        return SimpleNamespace(scene=scene, plan=SimpleNamespace(rooms=rooms))

    def position(self, scan, viewpoint):
        return np.zeros(3)

    def tracer(self, scan):
        return self

    def trace(self, position, rays, angle):
        self.traced += 1
        ahead = rays[:, 1] > 0.9
        distances = np.where(ahead, 2.0, 4.0).astype(np.float32)
        return SimpleNamespace(object_id=ahead.astype(np.int32), distance=distances)


def test_rooms_and_objects_are_named_with_colours_and_distances(monkeypatch):
    monkeypatch.setattr(pictures, "HousePanoramas", FakeHouses)
    describe = HouseDescriptions()
    assert describe(ViewPose("s", "v", 0.0)) == "a kitchen: a red stove at 2.0 m"
    assert describe(ViewPose("s", "v", np.pi)) == "bare walls"
    describe(ViewPose("s", "v", 0.0))
    assert describe._houses.traced == 2
