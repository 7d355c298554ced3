import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest

from envs.worlds import world_files
from viewer.outputs.rerun_log import log_trace
from viewer.outputs.video import film_trace
from viewer.scene.pictures import WIDTHS, DrawnPictures, NoPictures
from viewer.site.library import Library


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


def test_rerun_writes_logs(library, traces, tmp_path, grey):
    pytest.importorskip("rerun", reason="logs need the extra 'rerun'")
    pictures = DrawnPictures(grey, lambda scan: tmp_path / scan)
    path = tmp_path / "walk.rrd"
    log_trace(path, traces[0], library, pictures)
    assert path.stat().st_size > 10_000


class Stream:
    """Stands for a recording of rerun: keeps what it is told by name and step."""

    def __init__(self, application):
        self.told, self.step = {}, None

    def save(self, path):
        self.path = Path(path)

    def set_time(self, timeline, sequence):
        self.step = sequence

    def log(self, name, content, static=False):
        self.told[name, None if static else self.step] = content

    def flush(self):
        self.path.write_bytes(pickle.dumps(self.told))

    def disconnect(self):
        pass


def test_rerun_is_told_pictures_map_and_curves(library, traces, tmp_path, grey, monkeypatch):
    def plain(content, **looks):
        return content

    kinds = ("TextDocument", "LineStrips3D", "Points3D", "Scalars", "BarChart")
    fake = SimpleNamespace(RecordingStream=Stream, **dict.fromkeys(kinds, plain))
    fake.EncodedImage = lambda contents, media_type: contents
    monkeypatch.setitem(sys.modules, "rerun", fake)
    pictures, trace = DrawnPictures(grey, lambda scan: tmp_path / scan), traces[0]
    log_trace(tmp_path / "walk.rrd", trace, library, pictures)
    told = pickle.loads((tmp_path / "walk.rrd").read_bytes())

    graph = library.graph(trace.scan)
    walked, way = (
        graph.positions[[graph.index(viewpoint) for viewpoint in path]]
        for path in (trace.walked, trace.path)
    )
    assert told["instruction", None] == trace.instruction
    assert len(told["map/edges", None]) == graph.adjacency.sum() / 2
    np.testing.assert_array_equal(told["map/viewpoints", None], graph.positions)
    np.testing.assert_array_equal(told["map/reference", None], [way])
    for number, step in enumerate(trace.steps):
        np.testing.assert_array_equal(told["map/walked", number], [walked[: number + 1]])
        np.testing.assert_array_equal(told["map/agent", number], walked[number : number + 1])
        assert told["curves/value", number] == 0.5
        assert told["curves/stop_probability", number] == step.stop_probability
        assert told["curves/nDTW", number] == step.metrics["nDTW"]
        assert told["probabilities", number][step.action] == pytest.approx(0.9)
        word = trace.words[number % 4].strip()
        assert told["attention", number].startswith(f"{word} 1.00, ")
        assert told["panorama", number] == pictures.jpeg(trace.scan, step.viewpoint, WIDTHS[0])


def test_rerun_is_asked_for_by_name(library, traces, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[rerun\]"):
        log_trace(tmp_path / "walk.rrd", traces[0], library, NoPictures("none"))
    assert not list(tmp_path.iterdir())
