import dataclasses
import json
import shutil

import numpy as np
import pytest

from clipnav.agents.clear.objects import read_objects
from clipnav.agents.clear.pair_files import multi_path, read_multi_file, read_pairs
from clipnav.agents.clear.pairing import pair_paths, similar_paths
from clipnav.agents.clear.settings import PairPathsConfig
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.training.settings import CONFIG


def colours_of(records):
    """English text of each path."""
    return {(r.scan, r.path): r.instruction for r in records if r.language == "en-IN"}


def test_paths_to_doors_of_the_same_colour_are_paired(doors, paired_folder):
    files = world_files("matterport", doors)
    for split, count in (("train", 32), ("val_seen", 8), ("val_unseen", 8)):
        path = multi_path(paired_folder, split)
        texts = colours_of(read_multi_file(path))
        pairs = read_pairs(path, files)
        assert len(pairs) == count
        for pair in pairs:
            assert texts[pair.scan, pair.path] == texts[pair.pair_scan, pair.pair_path]


def test_the_command_prints_the_pairs(doors, language_run, tmp_path, run_command):
    printed = run_command(
        *("pair-paths", "--language-representation", language_run, "--output", tmp_path),
        *("--world", "matterport", "--data-dir", doors, "--splits", "val_seen", "--threads", 1),
    )
    assert "24 instructions, 8 of 8 paths paired, mean similarity" in printed
    written = sorted(path.name for path in tmp_path.glob("*.json*"))
    assert written == ["results.json", "rxr_val_seen_guide_multi.jsonl"]
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results["val_seen"].keys() == {"pairs", "similarity"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"en-IN", "hi-IN", "te-IN"}),
        ({"languages": ["en", "hi"]}, {"en-IN", "hi-IN"}),
        ({"dataset": "r2r"}, {"en-IN"}),
    ],
    ids=["all", "two", "r2r"],
)
def test_only_languages_that_the_representation_has_read_are_embedded(
    doors, language_run, tmp_path, monkeypatch, capsys, changes, expected
):
    run = shutil.copytree(language_run, tmp_path / "run")
    config = json.loads((run / CONFIG).read_text())
    (run / CONFIG).write_text(json.dumps(config | changes))
    embedded = []

    def spy(network, data, centre):
        embedded.extend(data.episodes)
        return similar_paths(network, data, centre)

    monkeypatch.setattr("clipnav.agents.clear.pairing.similar_paths", spy)
    output = tmp_path / "pairs"
    pair_paths(PairPathsConfig(run, output, "matterport", doors, ("val_seen",), threads=1))
    assert {episode.language for episode in embedded} == expected
    # The file contains the instructions in all languages nevertheless.
    path = multi_path(output, "val_seen")
    assert len(read_multi_file(path)) == 24
    assert len(read_pairs(path, world_files("matterport", doors))) == 8
    names = ", ".join(sorted(tag.partition("-")[0] for tag in expected))
    line = f"Languages of the instructions, which the representation has read: {names}\n"
    assert line in capsys.readouterr().out


def test_pairs_are_not_written_into_a_run(language_run, run_command, capsys):
    before = (language_run / "results.json").read_bytes()
    with pytest.raises(SystemExit):
        run_command(
            *("pair-paths", "--language-representation", language_run, "--output", language_run)
        )
    assert "is a run; name another folder" in " ".join(capsys.readouterr().err.split())
    assert (language_run / "results.json").read_bytes() == before


def test_a_missing_run_or_split_is_named_before_anything_is_written(doors, language_run, tmp_path):
    output = tmp_path / "pairs"
    config = PairPathsConfig(language_run, output, "matterport", doors, splits=("train", "dev"))
    with pytest.raises(FileNotFoundError, match="no annotations of split 'dev' of rxr"):
        pair_paths(config)
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file"):
        pair_paths(dataclasses.replace(config, splits=("train",), language_representation=doors))
    assert not output.exists()


def test_objects_and_results_of_other_splits_are_kept(language_run, tmp_path, monkeypatch):
    asked = []

    def empty_views(viewpoints):
        asked.append(list(viewpoints))
        classes = {}
        for scan, viewpoint in asked[-1]:
            classes.setdefault(scan, {})[viewpoint] = np.zeros((36, 27), bool)
        return classes

    monkeypatch.setattr("clipnav.agents.clear.pairing.house_objects", empty_views)
    config = PairPathsConfig(language_run, tmp_path, splits=("val_seen",), threads=1)
    pair_paths(config)
    pair_paths(dataclasses.replace(config, splits=("val_unseen",)))
    written = read_objects(tmp_path / "objects_27.json")
    kept = {(scan, viewpoint) for scan, viewpoints in written.items() for viewpoint in viewpoints}
    assert len(asked) == 2
    assert kept == set(asked[0]) | set(asked[1])
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results.keys() == {"val_seen", "val_unseen"}
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(UserError, match=r"results\.json"):
        pair_paths(config)
