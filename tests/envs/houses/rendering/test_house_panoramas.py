import pytest

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.rendering import house_panoramas
from clipnav.envs.pictures.world_pictures import house_pictures


class Stopped(Exception):
    pass


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """Empty cache folder, and no panoramas of houses from earlier tests."""
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    return tmp_path


def test_the_first_panorama_reports_that_it_builds_the_house(empty_cache, monkeypatch, capfd):
    reports = []

    def build(spec, directory):
        captured = capfd.readouterr()
        assert captured.out == ""
        reports.append((spec.scan, captured.err))
        raise Stopped

    monkeypatch.setattr(house_panoramas, "ensure_house", build)
    viewpoint = NavGraph.load("house_00").viewpoint_ids[0]
    with pytest.raises(Stopped):
        house_pictures().rgb("house_00", viewpoint, 1024)
    folder = house_panoramas.house_cache_dir()
    assert folder.is_relative_to(empty_cache)
    assert reports == [("house_00", f"building house_00 into {folder} (about 6 s, once)\n")]
