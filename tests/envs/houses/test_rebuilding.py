"""Interrupted and simultaneous runs that build existing houses again."""

from contextlib import contextmanager

import pytest

from clipnav.envs.houses import house_set
from clipnav.envs.houses.building import house
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.house_set import build_set

SCANS = ["house_00", "house_01"]


@pytest.fixture
def versions(tmp_path, monkeypatch):
    """Versions of the generator of houses and of paths, which the graphs then contain."""
    versions = dict.fromkeys(("house", "paths"), "old")

    def save_house(spec, directory):
        (directory / f"{spec.scan}.json").write_text(versions["house"])

    def navigate(side_file):
        text = f"{side_file.read_text()} house, {versions['paths']} paths"
        return {"connectivity": [{"image_id": text}], "rxr": {}, **{s: [] for s in MINI.splits}}

    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(house, "build_house", lambda spec: spec)
    monkeypatch.setattr(house, "save_house", save_house)
    monkeypatch.setattr(house, "is_saved", lambda spec, at: (at / f"{spec.scan}.json").exists())
    monkeypatch.setattr(house, "load_house", lambda scan, at: at / f"{scan}.json")
    monkeypatch.setattr(house_set, "navigate", navigate)
    return versions


def all_houses(function, jobs, *_):
    """Run all jobs in this process."""
    return ((job, function(job)) for job in jobs)


def one_house(function, jobs, *_):
    """Run the first job in this process; then Ctrl-C is pressed."""
    yield jobs[0], function(jobs[0])
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("rebuild", "built"),
    [("paths", "old house, new paths"), ("houses", "new house, new paths")],
)
def test_the_run_that_resumes_a_rebuild_builds_the_other_houses_again(
    rebuild, built, versions, tmp_path, monkeypatch
):
    graphs = tmp_path / "graphs"
    folders = {"connectivity_dir": graphs, "data_dir": tmp_path / "data"}
    monkeypatch.setattr(house_set, "run_jobs", all_houses)
    build_set(MINI, SCANS, **folders)
    versions |= dict.fromkeys(("house", "paths"), "new")
    monkeypatch.setattr(house_set, "run_jobs", one_house)
    with pytest.raises(KeyboardInterrupt, match=r"1 of 2 houses .* without --rebuild"):
        build_set(MINI, SCANS, rebuild=rebuild, **folders)
    monkeypatch.setattr(house_set, "run_jobs", all_houses)
    build_set(MINI, SCANS, **folders)
    for scan in SCANS:
        assert built in (graphs / f"{scan}_connectivity.json").read_text()


def test_a_rebuild_does_not_delete_a_house_that_another_process_builds(
    versions, tmp_path, monkeypatch
):
    folders = {"connectivity_dir": tmp_path / "graphs", "data_dir": tmp_path / "data"}
    monkeypatch.setattr(house_set, "run_jobs", all_houses)
    build_set(MINI, SCANS, **folders)
    kept = {tmp_path / path for path in tmp_path.rglob("house_0?*.json")}
    waited = []

    @contextmanager
    def wait_for_other_process(entry):
        own = {path for path in kept if path.name.startswith(entry.name[:8])}
        waited.append(all(path.is_file() for path in own))
        yield

    monkeypatch.setattr(house_set, "waiting_lock", wait_for_other_process)
    house_set._forget([MINI.specs[scan] for scan in SCANS], "houses")
    assert waited == [True, True]
    assert not any(path.is_file() for path in kept if path.parent.name != "graphs")
