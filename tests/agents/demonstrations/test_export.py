"""Whole exports: resumption, workers, refusals and manifest."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

import pytest

from clipnav.agents.demonstrations import export as exporting
from clipnav.agents.demonstrations.export import check_export, export_demonstrations
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.storage import file_sha256
from tests.windows_files import windows_files


def files_in(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_sha256(path) for path in paths}


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


@pytest.mark.parametrize(("name", "place"), [("llava", "shard"), ("lerobot", "writer")])
def test_a_resumed_export_equals_an_uninterrupted_one(
    small_export, tmp_path, monkeypatch, name, place
):
    whole = small_export(format=name, output=tmp_path / "whole")
    export_demonstrations(whole)
    config = small_export(format=name)
    complete_shard, done = exporting.complete_shard, []

    def interrupted(shard):
        if len(done) == 2:
            raise Interrupted
        done.append(shard.number)
        return complete_shard(shard)

    with monkeypatch.context() as patch:
        if place == "shard":
            patch.setattr(exporting, "complete_shard", interrupted)
        else:
            patch.setattr(exporting, "write_manifest", interrupt)
        with pytest.raises(Interrupted):
            export_demonstrations(config)
    assert not config.output.exists()

    def counted(shard):
        done.append(shard.number)
        return complete_shard(shard)

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "complete_shard", counted)
        export_demonstrations(config)
    assert done == ([0, 1, 2, 3, 4] if place == "shard" else [])
    assert files_in(config.output) == files_in(whole.output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "whole"]


def test_an_export_that_was_killed_at_its_start_is_resumed(small_export, tmp_path):
    config = small_export()
    staging = tmp_path / "export.exporting"
    staging.mkdir()
    program = f"""
import os, signal
from pathlib import Path
from clipnav.storage import atomic_write
with atomic_write(Path({str(staging)!r}) / "export.json"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert [path.suffix for path in staging.iterdir()] == [".json"]
    export_demonstrations(config)
    assert not staging.exists()


def test_two_workers_give_the_result_of_one(small_export, tmp_path):
    export_demonstrations(small_export(output=tmp_path / "one"))
    export_demonstrations(small_export(output=tmp_path / "two", workers=2))
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")


@pytest.mark.skipif(sys.platform != "linux", reason="requires /proc")
def test_an_export_into_an_empty_folder_ends_where_open_files_are_kept(small_export, tmp_path):
    config = small_export()
    config.output.mkdir()
    with windows_files():
        manifest = export_demonstrations(config)
    assert export_demonstrations(config) == manifest
    assert list(tmp_path.iterdir()) == [config.output]


def test_other_content_is_never_replaced(small_export, tmp_path):
    config = small_export()
    config.output.mkdir()
    (config.output / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"export: contains something else than an export"):
        export_demonstrations(config)
    config.output.rename(tmp_path / "other")
    export_demonstrations(config)
    before = files_in(config.output)
    with pytest.raises(FileExistsError, match=r"other settings \(seed: 0 against 1\)"):
        export_demonstrations(dataclasses.replace(config, seed=1))
    assert files_in(config.output) == before


def test_an_unfinished_export_with_other_settings_is_kept(small_export, monkeypatch):
    config = small_export()
    monkeypatch.setattr(exporting, "write_manifest", interrupt)
    with pytest.raises(Interrupted):
        export_demonstrations(config)
    other = dataclasses.replace(config, split="val_unseen")
    with pytest.raises(FileExistsError, match=r"unfinished export .*train against val_unseen"):
        export_demonstrations(other)
    other = dataclasses.replace(config, prompt=dataclasses.replace(config.prompt, labels="numbers"))
    with pytest.raises(FileExistsError, match=r"\(prompt.labels: letters against numbers\)"):
        export_demonstrations(other)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"split": "test"}, r"--split test: test splits are for evaluation"),
        ({"split": "gone"}, r"no annotations of split 'gone'"),
        ({"episodes": 99}, r"--episodes 99: train of r2r has 14 episodes"),
        ({"dataset": "rxr", "instruction_language": "fr"}, r"no instruction in language 'fr'"),
        ({"policy": "none"}, r"none/config.json: no such file"),
        ({"scan_dir": "gone"}, r"No skyboxes in .*gone"),
        ({"world": "houses", "data_dir": None, "scan_dir": "x"}, r"scan_dir .*x has no effect"),
    ],
)
def test_missing_data_is_named_before_any_work(small_export, tmp_path, changes, problem):
    for name in ("policy", "scan_dir"):
        if name in changes:
            changes = changes | {name: tmp_path / changes[name]}
    config = small_export(**changes)
    with pytest.raises((OSError, ValueError), match=problem) as caught:
        export_demonstrations(config)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_drawn_episodes_follow_the_seed(small_export, tmp_path):
    def ids(seed, folder):
        config = small_export(episodes=5, seed=seed, output=tmp_path / folder)
        export_demonstrations(config)
        records = json.loads((config.output / "annotations.json").read_text())
        return list(dict.fromkeys(record["instr_id"] for record in records))

    first = ids(0, "a")
    assert len(first) == 5
    assert ids(0, "b") == first
    assert ids(1, "c") != first


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"settings": {"format": "paper"}}, "field 'settings.format': invalid enum value 'paper'"),
        ({"settings": {}}, "field 'settings.format' is missing"),
        ({"camera": {"width": 8}}, "field 'camera.height' is missing"),
        ({"counts": None}, "field 'counts': expected object"),
    ],
)
def test_damaged_manifests_are_refused_with_one_line(tmp_path, changes, problem):
    manifest = {
        "dataset": "r2r",
        "settings": {"format": "llava"},
        "camera": {"width": 8, "height": 8, "vertical_fov_degrees": 60.0},
        "counts": {"steps": 1},
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**manifest, **changes}))
    with pytest.raises(ValueError, match=re.escape(f"{path}: {problem}")) as caught:
        check_export(tmp_path)
    assert str(caught.value).endswith("; export it again with clipnav export-demonstrations")


def test_the_manifest_has_provenance_and_counts(small_export):
    manifest = export_demonstrations(small_export(dataset="rxr"))
    expected = {"world": "matterport", "dataset": "rxr", "split": "train", "seed": 0}
    assert {name: manifest[name] for name in expected} == expected
    assert manifest["counts"]["episodes"] == 14
    assert manifest["counts"]["episodes_by_language"] == {"en-IN": 7, "hi-IN": 7}
    assert manifest["counts"]["steps_by_source"] == {"teacher": manifest["counts"]["steps"]}
    assert manifest["camera"]["width"] == 32
    assert "Matterport3D" in manifest["licence"]
    assert manifest["clipnav"] == "0.1.0"


def test_a_trained_agent_acts_and_the_teacher_labels(small_config, pictured_doors, tmp_path):
    """Walks of a policy are recorded with their sources, in every shard."""
    from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig

    config = dataclasses.replace(small_config, iterations=1)
    make_agent_trainer(FollowerLearner, config)[0].train()
    output = tmp_path / "dagger"
    settings = DemonstrationConfig(
        output,
        world="matterport",
        data_dir=pictured_doors,
        policy=config.output,
        episodes=40,
        prompt=PromptConfig(image_size=16),
    )
    counts = export_demonstrations(settings)["counts"]
    assert counts["steps_by_source"]["policy"] >= 40
    assert counts["steps_by_source"]["teacher"] > 0  # where an untrained follower stops too early
    records = json.loads((output / "annotations.json").read_text())
    assert {record["source"] for record in records} == {"policy", "teacher"}
    assert check_export(output)
    shutil.rmtree(config.output)
    with pytest.raises(FileNotFoundError, match="name a run of clipnav"):
        export_demonstrations(settings)
