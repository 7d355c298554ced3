import json
from types import SimpleNamespace

import pytest

from clipnav.envs.episodes import load_demonstrations, load_episodes


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
