import dataclasses
import gzip
import json
import math
import re
from types import SimpleNamespace

import pytest

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.episodes import (
    Episode,
    TimedWord,
    base_language,
    load_demonstrations,
    load_episodes,
)
from clipnav.envs.episodes.splits import exchange_words
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.worlds import world_files


def test_r2r_gives_one_episode_per_instruction(files):
    episodes = load_episodes("r2r", "train", files)
    assert [e.instr_id for e in episodes[:3]] == ["100_0", "100_1", "101_0"]
    assert len(episodes) == 14
    first = episodes[1]
    assert first.path == ("a0", "a1", "a2", "a5")
    assert (first.scan, first.path_id, first.heading, first.language) == ("attic", 100, 0.0, "en")
    assert first.instruction == "Walk past the red sofa, then stop near the door."
    assert first.has_goal


def test_rxr_gives_one_episode_per_line_and_filters_languages(files):
    episodes = load_episodes("rxr", "train", files)
    assert [e.language for e in episodes[:2]] == ["en-IN", "hi-IN"]
    assert [e.instr_id for e in episodes[:2]] == ["1000", "1001"]
    assert episodes[1].instruction == "दरवाज़े के पास रुकें।"
    hindi = load_episodes("rxr", "train", files, "hi")
    assert hindi == [e for e in episodes if e.language == "hi-IN"]
    assert load_episodes("rxr", "train", files, "hi-IN") == hindi
    assert base_language("hi-IN") == base_language("hi") == "hi"
    with pytest.raises(ValueError, match=r"guide\.jsonl: no instr.* 'te', only en-IN, hi-IN"):
        load_episodes("rxr", "train", files, "te")


def test_rxr_reads_gzip_and_json_arrays(own_world, own_files):
    files = own_files
    expected = load_episodes("rxr", "train", files)
    path = own_world / "rxr" / "rxr_train_guide.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(json.dumps([json.loads(line) for line in lines]), encoding="utf-8")
    assert load_episodes("rxr", "train", files) == expected
    path.unlink()
    packed = gzip.compress("\n".join(lines).encode())
    path.with_suffix(".jsonl.gz").write_bytes(packed)
    assert load_episodes("rxr", "train", files) == expected
    path.with_suffix(".jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(
        ValueError, match=r"rxr_train_guide\.jsonl\.gz: record 12: the compressed data"
    ):
        load_episodes("rxr", "train", files)


def test_rxr_test_splits_contain_only_the_start_and_may_lack_a_path_id(own_files, guide):
    line = {**guide.lines[0], "split": "test_standard", "path": guide.lines[0]["path"][:1]}
    del line["path_id"]
    guide.write([line], "rxr_test_standard_public_guide.jsonl")
    (episode,) = load_episodes("rxr", "test_standard", own_files)
    assert episode.path_id == 1000
    assert not episode.has_goal


def test_rxr_keeps_annotator_edit_distance_and_word_times(own_files, guide):
    words = [
        {"end_time": 1.0, "word": "Okay,", "start_time": 0.4},
        {"word": "stop"},
        {"word": "here.", "start_time": 2, "end_time": None},
    ]
    more = {"annotator_id": 19, "edit_distance": 0.25, "timed_instruction": words, "odd": [{}]}
    guide.write([{**guide.lines[0], **more}])
    (plain,) = load_episodes("rxr", "train", own_files)
    assert (plain.annotator_id, plain.edit_distance) == (19, 0.25)
    assert plain.timed_instruction == ()
    (timed,) = load_episodes("rxr", "train", own_files, timed=True)
    assert timed.timed_instruction == (
        TimedWord("Okay,", 0.4, 1.0),
        TimedWord("stop"),
        TimedWord("here.", 2.0),
    )
    guide.write([{**guide.lines[0], "timed_instruction": [*words, {"word": 3}]}])
    load_episodes("rxr", "train", own_files)
    with pytest.raises(
        ValueError, match=r"record 0 .*'timed_instruction\[3\]\.word': expected str"
    ):
        load_episodes("rxr", "train", own_files, timed=True)


def test_generated_instructions_require_no_annotator(own_files, guide):
    fields = "instruction_id path_id language scan path heading instruction".split()
    lines = [{name: line[name] for name in fields} | {"language": "te"} for line in guide.lines]
    guide.write(lines, "rxr_marky_train_guide.jsonl")
    episodes = load_episodes("rxr", "marky_train", own_files)
    assert len(episodes) == len(lines)
    assert {e.annotator_id for e in episodes} == {None}


def damaged(**changes):
    def apply(record):
        for name, value in changes.items():
            if value is None:
                del record[name]
            else:
                record[name] = value

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged(scan="cellar"), r"\(path_id 101\): field 'scan': 'cellar' has no .*connectivity"),
        (damaged(scan="../attic"), "field 'scan': '../attic' has no navigation graph"),
        (damaged(path=["a0", "z9"]), "field 'path': scan 'attic' has no viewpoint 'z9'"),
        (damaged(path=["a7", "a9"]), "field 'path': scan 'attic' has no viewpoint 'a9'"),
        (damaged(path=["a0", "a10", "a1"]), "field 'path': 'a0' and 'a10' are not connected"),
        (damaged(path=["a0"]), "field 'path' contains only the start"),
        (damaged(path=["a0", 1]), r"field 'path\[1\]': expected str, got int"),
        (damaged(path=None), "field 'path' is missing"),
        (damaged(heading=math.nan), "not valid JSON"),
        (damaged(heading="north"), "field 'heading': expected float, got str"),
        (damaged(instructions=["Go.", " "]), "field 'instructions': instruction 1 is blank"),
        (damaged(path_id=2**70), "field 'path_id': "),
        (damaged(path_id=100), "episode 100_0 occurs twice"),
    ],
)
def test_errors_name_the_damaged_record(own_world, own_files, damage, message):
    path = own_world / "r2r" / "R2R_train.json"
    records = json.loads(path.read_text())
    damage(records[1])
    path.write_text(json.dumps(records))
    hint = "correct the record, or get the data with clipnav download-data"
    with pytest.raises(ValueError, match=rf"R2R_train\.json: record 1 .*{message}.*; {hint}"):
        load_episodes("r2r", "train", own_files)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": ""}, "field 'language': expected str of length >= 1"),
        ({"instruction": " \n"}, "field 'instruction' is blank"),
        ({"edit_distance": "far"}, "field 'edit_distance': expected float | null, got str"),
        ({"instruction_id": 1000}, "episode 1000 occurs twice"),
        ({"scan": "barn"}, "field 'path': scan 'barn' has no viewpoint 'a0'"),
    ],
)
def test_errors_name_the_damaged_line(own_files, guide, changes, message):
    guide.lines[1].update(changes)
    guide.write(guide.lines)
    name = changes.get("instruction_id", 1001)
    match = (
        rf"_guide\.jsonl: record 1 \(instruction_id {name}\): {re.escape(message)}.*download-data"
    )
    with pytest.raises(ValueError, match=match):
        load_episodes("rxr", "train", own_files)


def test_a_split_without_episodes_is_refused(own_world, own_files):
    for text in ("", "[]", " [ ] "):
        (own_world / "r2r" / "R2R_train.json").write_text(text)
        with pytest.raises(ValueError, match=r"R2R_train\.json: the file contains no episode; get"):
            load_episodes("r2r", "train", own_files)


def test_errors_name_the_damaged_graph(own_world, own_files):
    (own_world / "matterport" / "connectivity" / "attic_connectivity.json").write_text("{}")
    with pytest.raises(ValueError, match=r"attic_connectivity\.json"):
        load_episodes("r2r", "train", own_files)


def test_r2r_has_the_published_counts(shared):
    files = world_files("matterport", shared / "data")
    counts = {"train": (4675, 14039, 61), "val_seen": (340, 1021, 56), "test": (1391, 4173, 18)}
    for split, (paths, instructions, scans) in counts.items():
        episodes = load_episodes("r2r", split, files)
        assert len(episodes) == instructions
        assert len({e.path_id for e in episodes}) == paths
        assert len({e.scan for e in episodes}) == scans


def test_eight_paths_of_val_unseen_are_not_shortest(shared):
    files = world_files("matterport", shared / "data")
    episodes = load_episodes("r2r", "val_unseen", files)
    assert len(episodes) == 2349
    longer = set()
    for episode in episodes:
        graph = NavGraph.load(episode.scan, files.connectivity_dir)
        length = graph.path_length(episode.path)
        if length > graph.geodesic(episode.path[0], episode.path[-1]) + 1e-6:
            longer.add(episode.path_id)
    assert len(longer) == 8


@pytest.fixture
def walks(own_world, guide):
    """Lines of a follower file and a function that writes them."""
    metrics = {"ne": 0, "sr": 1.0, "spl": 0.9, "dtw": 1.5, "ndtw": 0.9, "sdtw": 0.9}

    lines = [
        {
            "demonstration_id": 10 + line["instruction_id"],
            "instruction_id": line["instruction_id"],
            "annotator_id": 43,
            "path": [*line["path"], line["path"][-2]],
            "metrics": metrics,
        }
        for line in guide.lines
    ]

    def write():
        path = own_world / "rxr" / "rxr_train_follower.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    return SimpleNamespace(lines=lines, write=write)


def test_demonstrations_belong_to_instructions(walks, own_files):
    walks.write()
    demonstrations = load_demonstrations("train", own_files)
    episodes = load_episodes("rxr", "train", own_files)
    assert [walk.instr_id for walk in demonstrations] == [e.instr_id for e in episodes]
    first = demonstrations[0]
    assert (first.demonstration_id, first.instruction_id, first.annotator_id) == (1010, 1000, 43)
    assert first.path == (*episodes[0].path, episodes[0].path[-2])
    assert (first.metrics.ne, first.metrics.sr, first.metrics.spl) == (0.0, 1.0, 0.9)
    assert (first.metrics.dtw, first.metrics.ndtw, first.metrics.sdtw) == (1.5, 0.9, 0.9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": ["a0", "b0"]}, "field 'path': scan 'attic' has no viewpoint 'b0'"),
        ({"path": []}, "field 'path': expected array of length >= 1"),
        ({"instruction_id": 5}, "field 'instruction_id': 5 is not in the guide file"),
        ({"metrics": {"ne": 0}}, r"field 'metrics\.sr' is missing"),
        ({"metrics": None}, "field 'metrics': expected object, got null"),
        ({"demonstration_id": 1010}, "occurs twice"),
    ],
)
def test_errors_name_the_damaged_demonstration(walks, own_files, changes, message):
    walks.lines[1].update(changes)
    walks.write()
    match = rf"_follower\.jsonl: record 1 \(\w+ \d+\): {message}.*; .*download-data"
    with pytest.raises(ValueError, match=match):
        load_demonstrations("train", own_files)


def episodes_of(paths, language="en"):
    """Build episodes whose instructions contain their language, path and index."""
    return [
        Episode(
            *(f"{language}{place}", path, "attic", ("a", "b"), 0.0, f"{language} {path} {place}"),
            language=language,
            timed_instruction=(TimedWord(f"{path}"),),
        )
        for place, path in enumerate(paths)
    ]


@pytest.mark.parametrize("paths", [[1, 2], [1, 1, 2, 2], [1, 1, 1, 2, 3, 3], list(range(50)) * 3])
def test_each_episode_gets_the_instruction_of_another_path(paths):
    own = episodes_of(paths)
    for seed in range(20):
        given = exchange_words(own, seed)
        assert sorted(e.instruction for e in given) == sorted(e.instruction for e in own)
        for episode, other in zip(own, given, strict=True):
            _, path, _ = other.instruction.split()
            assert int(path) != episode.path_id
            assert other.timed_instruction[0].word == path
            words = {"instruction": "", "timed_instruction": ()}
            assert dataclasses.replace(other, **words) == dataclasses.replace(episode, **words)


def test_exchange_depends_on_the_seed_and_stays_within_a_language():
    hindi, english = episodes_of(range(30), "hi-IN"), episodes_of(range(30), "en-US")
    both = [episode for pair in zip(hindi, english, strict=True) for episode in pair]
    given = exchange_words(both, 3)
    assert given[::2] == exchange_words(hindi, 3)
    assert given[1::2] == exchange_words(english, 3)
    assert exchange_words(both, 3) == given != exchange_words(both, 4)
    assert all(e.instruction.startswith(e.language) for e in given)


def test_a_split_with_too_few_paths_cannot_be_exchanged():
    with pytest.raises(ValueError, match="language 'te': more than half of the 3 instructions"):
        exchange_words([*episodes_of([1, 1, 2], "te"), *episodes_of([1, 2])], 0)
