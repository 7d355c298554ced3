import pytest

from envs.graphs.nav_graph import NavGraph
from envs.houses.rendering import house_panoramas


class Stopped(Exception):
    pass


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """Empty cache folder, and no panoramas of houses from earlier tests."""
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    house_panoramas._built_in_houses.cache_clear()
    yield tmp_path
    house_panoramas._built_in_houses.cache_clear()


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
        house_panoramas.panorama("house_00", viewpoint)
    folder = house_panoramas.house_cache_dir()
    assert folder.is_relative_to(empty_cache)
    assert reports == [("house_00", f"building house_00 into {folder} (about 15 s, once)\n")]
