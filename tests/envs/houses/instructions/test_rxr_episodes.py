import collections
import re
from itertools import pairwise

import numpy as np
import pytest

from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.building.sets import DATA_DIR, MINI
from clipnav.envs.houses.instructions.annotation_files import guide_path, read_annotations
from clipnav.envs.houses.instructions.rxr_episodes import rxr_records
from clipnav.envs.houses.instructions.writing import LONG
from clipnav.envs.houses.language.grammar import parse
from clipnav.envs.houses.language.grammars.languages import language_of
from clipnav.envs.tokenizers import split_words
from clipnav.envs.worlds import world_files

FIELDS = [
    "split",
    "instruction_id",
    "annotator_id",
    "language",
    "path_id",
    "scan",
    "path",
    "heading",
    "instruction",
    "timed_instruction",
    "edit_distance",
    "alignment",
]


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[dict]]:
    return {split: read_annotations(guide_path(DATA_DIR, split)) for split in MINI.splits}


@pytest.fixture(scope="module")
def everything(shipped) -> list[dict]:
    return [record for split in MINI.splits for record in shipped[split]]


@pytest.fixture(scope="module")
def made(survey, routes) -> dict[str, list[dict]]:
    counts = {"train": 3, "val_seen": 1}
    return rxr_records(survey, routes, counts, 7, np.random.default_rng(0))


def _scans(split: str) -> tuple[str, ...]:
    return MINI.scans["train" if split == "val_seen" else split]


def test_records_of_a_house_have_the_fields_of_rxr(made):
    assert [len(made[split]) for split in ("train", "val_seen")] == [9, 3]
    for split, records in made.items():
        for number, record in enumerate(records):
            assert list(record) == FIELDS
            assert record["split"] == split
            assert record["instruction_id"] == 10 * record["path_id"] + number % 3
            assert record["language"][:2] == ("en", "hi", "te")[number % 3]
    assert {record["path_id"] for record in made["train"]} == {107000, 107001, 107002}
    assert {record["path_id"] for record in made["val_seen"]} == {107500}


def test_records_are_the_same_for_the_same_seed(survey, routes, made):
    again = rxr_records(survey, routes, {"train": 3, "val_seen": 1}, 7, np.random.default_rng(0))
    assert again == made


def test_shipped_paths_are_long_walks_of_their_splits(shipped):
    for split in MINI.splits:
        assert {record["scan"] for record in shipped[split]} == set(_scans(split))
        for record in shipped[split]:
            graph = NavGraph.load(record["scan"])
            path = record["path"]
            assert 8 <= len(path) - 1 <= 14
            assert len(set(path)) == len(path)
            assert all(b in graph.neighbours(a) for a, b in pairwise(path))


def test_shipped_paths_are_mostly_not_the_shortest(everything):
    longer = []
    for record in everything:
        graph = NavGraph.load(record["scan"])
        direct = graph.geodesic(record["path"][0], record["path"][-1])
        assert direct >= 4
        longer.append(graph.path_length(record["path"]) / direct)
    assert 0.5 <= np.mean(np.array(longer) > 1.01) <= 0.95
    assert max(longer) <= 2.51


def test_shipped_paths_have_one_text_per_language(shipped, everything):
    languages_by_path = collections.defaultdict(list)
    for record in everything:
        languages_by_path[record["path_id"]].append(record["language"][:2])
    assert all(sorted(languages) == ["en", "hi", "te"] for languages in languages_by_path.values())
    english = collections.Counter(record["language"] for record in everything)
    assert english["en-US"] == pytest.approx(english["en-IN"], rel=0.2)
    for split in MINI.splits:
        expected = 3 * MINI.rxr_paths[split] * len(_scans(split))
        assert len(shipped[split]) >= 0.95 * expected
    assert len({record["instruction_id"] for record in everything}) == len(everything)


def test_shipped_pairs_of_start_and_goal_are_unique(everything):
    pairs = {(record["scan"], record["path"][0], record["path"][-1]) for record in everything}
    assert 3 * len(pairs) == len(everything)


def test_shipped_texts_are_long_and_all_different(everything):
    for record in everything:
        fewest, most = LONG.words
        assert fewest <= len(record["instruction"].split()) <= most
        assert len(split_words(record["instruction"])) <= 158  # fits the environment's 160 tokens
    assert len({record["instruction"] for record in everything}) == len(everything)


def test_shipped_texts_are_in_their_script(everything):
    blocks = {"en": r"[ -~]+", "hi": "[\u0900-\u097f ,-]+", "te": "[\u0c00-\u0c7f\u200c ,.]+"}
    for record in everything:
        assert re.fullmatch(blocks[record["language"][:2]], record["instruction"])


def test_shipped_texts_can_be_parsed(shipped):
    for record in shipped["val_unseen"]:
        acts = parse(language_of(record["language"]), record["instruction"])
        assert acts is not None
        assert len(acts) == len(record["alignment"])
        assert acts[-1].kind == "stop"


def test_shipped_timed_words_form_the_text(everything):
    for record in everything:
        timed = record["timed_instruction"]
        assert " ".join(word["word"] for word in timed) == record["instruction"]
        times = [time for word in timed for time in (word["start_time"], word["end_time"])]
        assert times == sorted(times)
        assert 0.6 <= len(timed) / times[-1] <= 3.5  # words a second, pauses included


def test_shipped_alignment_follows_the_path(everything):
    for record in everything:
        ends, positions = [0], [0]
        for start, end, first, last, *_ in record["alignment"]:
            assert ends[-1] <= start < end <= len(record["instruction"])
            assert positions[-1] == first <= last < len(record["path"])
            ends.append(end)
            positions.append(last)
        assert positions[-1] == len(record["path"]) - 1


def test_shipped_files_are_small():
    assert sum(guide_path(DATA_DIR, split).stat().st_size for split in MINI.splits) <= 3_000_000


@pytest.mark.parametrize("language", ["en", "hi", "te"])
def test_episodes_are_filtered_by_language(language, shipped):
    episodes = load_episodes("rxr", "val_unseen", world_files("houses"), language)
    assert 3 * len(episodes) == len(shipped["val_unseen"])
    assert all(len(record.path) >= 9 for record in episodes)
