"""The commands that build houses, and what they refuse before they begin."""

import pytest

from clipnav.envs.houses import house_set
from clipnav.envs.houses.rendering import contact_sheet
from clipnav.storage.errors import UserError


@pytest.fixture
def built(monkeypatch):
    """Arguments with which the command called the builder."""
    built = []
    monkeypatch.setattr(house_set, "build_set", lambda *arguments: built.append(arguments))
    return built


@pytest.mark.parametrize(
    ("script", "flag", "value", "complaint"),
    [
        ("build-houses", "--workers", 0, "must be at least 1"),
        ("build-houses", "--sheet-houses", 0, "must be at least 1"),
        ("build-houses", "--contact-sheet", "no/such/x.jpg", "must be a .png or .jpg"),
        ("build-houses", "--contact-sheet", "sheet", "must be a .png or .jpg"),
        ("make-house-tasks", "--workers", 0, "must be at least 1"),
        ("pretrain-house-clip", "--workers", 0, "must be at least 1"),
    ],
)
def test_impossible_settings_are_refused_at_once(
    run_command, capsys, built, script, flag, value, complaint
):
    with pytest.raises(SystemExit):
        run_command(script, flag, value)
    assert f"{flag} {value}: {complaint}" in " ".join(capsys.readouterr().err.split())
    assert not built


def test_an_incomplete_set_is_named(run_command, monkeypatch, tmp_path):
    def build(house_set, scans, workers, rebuild, graphs, data_dir):
        graphs.mkdir(parents=True, exist_ok=True)
        (graphs / "scans.txt").write_text("\n".join(scans))

    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(house_set, "build_set", build)
    part = ("build-houses", "--set", "standard", "--scans", "standard_00-standard_03")
    incomplete = "256 of 260 houses of standard are missing, so that its splits are incomplete"
    assert incomplete in run_command(*part)
    assert "missing" not in run_command("build-houses", "--set", "standard")
    assert "missing" not in run_command(*part, "--connectivity-dir", tmp_path / "graphs")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--statistics", "a", "--scans", "house_00"), "--scans house_00 has no effect"),
        (("--statistics", "a", "--contact-sheet", "x.png"), "--contact-sheet x.png has no effect"),
        (("--sheet-houses", "5"), "--sheet-houses 5 has no effect without --contact-sheet"),
    ],
)
def test_flags_without_effect_are_refused(run_command, capsys, built, flags, problem):
    with pytest.raises(SystemExit):
        run_command("build-houses", *flags)
    assert problem in " ".join(capsys.readouterr().err.split())
    assert not built


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
    folders = ("--connectivity-dir", tmp_path / "graphs", "--data-dir", tmp_path / "data")
    sheet = ("--set", "standard", "--sheet-houses", 260, *folders, "--contact-sheet")
    with pytest.raises(UserError, match=r"of 260 houses is too high .* shows 242 at most"):
        run_command("build-houses", *sheet, tmp_path / "houses.jpg")
    assert built == []
    run_command("build-houses", *sheet, tmp_path / "houses.png")
    assert len(shown) == 260
