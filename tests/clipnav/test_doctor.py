import tomllib

from clipnav.commands.installation import doctor
from tests.conftest import ROOT


def test_the_purpose_of_every_extra_is_known():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(doctor.EXTRAS) == set(project["optional-dependencies"]) - {"dev"}


def test_the_report_names_versions_machine_data_and_caches(command, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "one").write_bytes(bytes(2_500_000))
    (tmp_path / "data" / "rxr").mkdir(parents=True)
    done = command("doctor", "--data-dir", tmp_path / "data")
    assert done.returncode == 0, done.stdout
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    found = {words[0]: words[1] for words in lines if len(words) == 2}
    assert {"Python", "torch", "processor", "threads", "memory", "formats", "java"} <= set(found)
    assert found["grids"] == "2.5 MB"
    assert "32 houses" in found["houses"]
    assert found["matterport"] == f"rxr in {tmp_path / 'data'} (clipnav download-data)"
    assert lines[-1] == ["No", "problems."]


def test_a_missing_or_old_package_is_a_problem_but_not_one_of_an_extra(command, monkeypatch):
    needed = ["absent-a>=1", "numpy>=999", "absent-b>=2; extra == 'video'"]
    monkeypatch.setattr(doctor, "requires", lambda name: needed)
    done = command("doctor")
    assert done.returncode == 1
    assert "PROBLEM missing: pip install 'absent-a>=1'" in done.stdout
    assert "but >=999 is required" in done.stdout
    assert "videos as mp4: without absent-b: pip install 'clipnav[video]'" in done.stdout
    assert done.stdout.endswith("Problems: 2\n")
