import sys

import imageio.v3 as iio
import pytest

from envs.worlds import world_files
from viewer.library import Library
from viewer.pictures import DrawnPictures, NoPictures
from viewer.rerun_log import log_trace
from viewer.video import film_trace


@pytest.fixture
def library(tiny_world):
    return Library(world_files("matterport", tiny_world), "r2r")


def test_a_film_has_a_frame_per_viewpoint(library, traces, tmp_path, grey):
    pictures = DrawnPictures(grey, lambda scan: tmp_path / scan)
    path = tmp_path / "walk.gif"
    film_trace(path, traces[0], library, pictures)
    frames = iio.imread(path)
    assert frames.shape == (len(traces[0].steps), 640, 960, 3)
    bare = tmp_path / "bare.gif"
    film_trace(bare, traces[0], library, NoPictures("none"))
    assert (iio.imread(bare)[0, :300] != frames[0, :300]).any()


def test_films_as_mp4(library, traces, tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason="mp4 needs the extra 'video'")
    path = tmp_path / "walk.mp4"
    film_trace(path, traces[0], library, NoPictures("none"), seconds=0.5)
    frames = iio.imread(path)
    assert frames.shape == (2 * len(traces[0].steps), 640, 960, 3)


def test_films_need_a_known_ending_and_what_writes_it(library, traces, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"\.gif or \.mp4"):
        film_trace(tmp_path / "walk.avi", traces[0], library, NoPictures("none"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[video\]"):
        film_trace(tmp_path / "walk.mp4", traces[0], library, NoPictures("none"))
    assert not list(tmp_path.iterdir())


def test_rerun_logs_hold_pictures_map_and_curves(library, traces, tmp_path, grey):
    rerun = pytest.importorskip("rerun", reason="logs need the extra 'rerun'")
    pictures = DrawnPictures(grey, lambda scan: tmp_path / scan)
    path = tmp_path / "walk.rrd"
    log_trace(path, traces[0], library, pictures)
    assert path.stat().st_size > 10_000
    assert rerun.__version__


def test_rerun_is_asked_for_by_name(library, traces, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[rerun\]"):
        log_trace(tmp_path / "walk.rrd", traces[0], library, NoPictures("none"))
    assert not list(tmp_path.iterdir())
