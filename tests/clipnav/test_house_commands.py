"""The commands that build houses, and what they refuse before they begin."""

import pytest

from clipnav.envs.houses import house_set, statistics
from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.goals import files as goal_files
from clipnav.envs.houses.rendering import contact_sheet
from clipnav.storage.errors import UserError


@pytest.fixture
def built(monkeypatch):
    """Arguments with which the command called the builder."""
    built = []
    monkeypatch.setattr(house_set, "build_set", lambda *arguments: built.append(arguments))
    monkeypatch.setattr(goal_files, "build_goals", lambda *arguments: built.append(arguments))
    return built


def test_routes_and_goals_are_built_alone(run_command, built):
    for episodes, count in (("routes", 1), ("goals", 1), ("all", 2)):
        built.clear()
        run_command("build-houses", "--episodes", episodes)
        assert len(built) == count
    run_command("build-houses", "--set", "gallery")  # without episodes
    assert len(built) == 3


def test_an_incomplete_set_is_named(run_command, monkeypatch, tmp_path):
    def build(house_set, scans, workers, rebuild, graphs, data_dir):
        graphs.mkdir(parents=True, exist_ok=True)
        (graphs / "scans.txt").write_text("\n".join(scans))

    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(house_set, "build_set", build)
    monkeypatch.setattr(goal_files, "build_goals", lambda *arguments: None)
    part = ("build-houses", "--set", "standard", "--scans", "standard_00-standard_03")
    incomplete = "76 of 80 houses of standard are missing, so that its splits are incomplete"
    assert incomplete in run_command(*part)
    assert "missing" not in run_command("build-houses", "--set", "standard")
    assert "missing" not in run_command(*part, "--connectivity-dir", tmp_path / "graphs")


@pytest.mark.parametrize("flag", ["--connectivity-dir", "--data-dir"])
def test_a_folder_that_cannot_be_created_is_reported_before_houses_are_built(
    flag, run_command, built, tmp_path
):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        run_command("build-houses", flag, tmp_path / "file" / "folder")
    assert built == []


def test_a_sheet_that_is_too_high_for_jpeg_is_reported_before_houses_are_built(
    run_command, built, tmp_path, monkeypatch
):
    shown = []
    monkeypatch.setattr(contact_sheet, "set_sheet", lambda scans, *_: shown.extend(scans))
    monkeypatch.setattr(contact_sheet, "_LONGEST_JPEG", 60 * contact_sheet.TILE[0])
    folders = ("--connectivity-dir", tmp_path / "graphs", "--data-dir", tmp_path / "data")
    sheet = ("--set", "standard", "--sheet-houses", 80, *folders, "--contact-sheet")
    with pytest.raises(UserError, match=r"of 80 houses is too high .* shows 60 at most"):
        run_command("build-houses", *sheet, tmp_path / "houses.jpg")
    assert built == []
    run_command("build-houses", *sheet, tmp_path / "houses.png")
    assert len(shown) == 80


def test_statistics_build_nothing_and_need_no_other_folder(
    run_command, built, monkeypatch, tmp_path
):
    shown = []
    monkeypatch.setattr(statistics, "statistics_table", lambda found: shown.append([*found]) or "")
    run_command("build-houses", "--statistics")
    run_command("build-houses", "--statistics", tmp_path)
    assert shown == [[MINI.connectivity_dir], [MINI.connectivity_dir, tmp_path]]
    assert built == []
