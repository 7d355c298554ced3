import pickle
import re
import subprocess
import sys
from collections import Counter, defaultdict
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.envs.pictures.panorama_files import WIDTHS, DrawnPictures, NoPictures
from clipnav.envs.worlds import world_files
from clipnav.viewer.outputs.rerun_log import log_trace
from clipnav.viewer.site.library import Library


@pytest.fixture
def library(tiny_world):
    return Library(world_files("matterport", tiny_world), "r2r")


def test_logs_are_read_by_rerun(library, traces, tmp_path, grey, monkeypatch):
    pytest.importorskip("rerun", reason="logs need the extra 'rerun'")
    pictures, trace = DrawnPictures(grey, lambda scan: tmp_path / scan), traces[0]
    path = tmp_path / "walk.rrd"
    log_trace(path, trace, library, pictures)
    monkeypatch.setenv("HOME", str(tmp_path))  # the command writes settings there

    def rerun(*arguments):
        command = [sys.executable, "-m", "rerun", "rrd", *arguments, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "verified without error" in rerun("verify")
    rows, text = Counter(), defaultdict(str)  # rerun writes an entity in several chunks
    for chunk in rerun("print", "-vvv").split("\nChunk("):
        if found := re.search(r"with (\d+) rows \(.*\) - /(\S+) - ", chunk):
            rows[found[2]] += int(found[1])
            text[found[2]] += chunk
    steps = len(trace.steps)
    for name in ("panorama", "map/agent", "map/walked", "probabilities", "attention"):
        assert rows[name] == steps
    assert rows["map/reference"] == 1
    assert trace.instruction in text["instruction"]
    for step in trace.steps:
        assert f"[{step.metrics['nDTW']}]" in text["curves/nDTW"]


class Stream:
    """Replacement for a recording of rerun that stores the logged content by name and step."""

    def __init__(self, application):
        self.logged, self.step = {}, None

    def save(self, path):
        self.path = Path(path)

    def set_time(self, timeline, sequence):
        self.step = sequence

    def log(self, name, content, static=False):
        self.logged[name, None if static else self.step] = content

    def flush(self):
        self.path.write_bytes(pickle.dumps(self.logged))

    def disconnect(self):
        pass


def test_panoramas_map_and_curves_are_logged(library, traces, tmp_path, grey, monkeypatch):
    def plain(content, **looks):
        return content

    kinds = ("TextDocument", "LineStrips3D", "Points3D", "Scalars", "BarChart")
    fake = SimpleNamespace(RecordingStream=Stream, **dict.fromkeys(kinds, plain))
    fake.EncodedImage = lambda contents, media_type: contents
    fake.__spec__ = ModuleSpec("rerun", None)
    monkeypatch.setitem(sys.modules, "rerun", fake)
    pictures, trace = DrawnPictures(grey, lambda scan: tmp_path / scan), traces[0]
    log_trace(tmp_path / "walk.rrd", trace, library, pictures)
    logged = pickle.loads((tmp_path / "walk.rrd").read_bytes())

    graph = library.graph(trace.scan)
    walked, way = (
        graph.positions[[graph.index(viewpoint) for viewpoint in path]]
        for path in (trace.walked, trace.path)
    )
    assert logged["instruction", None] == trace.instruction
    assert len(logged["map/edges", None]) == graph.adjacency.sum() / 2
    np.testing.assert_array_equal(logged["map/viewpoints", None], graph.positions)
    np.testing.assert_array_equal(logged["map/reference", None], [way])
    for number, step in enumerate(trace.steps):
        np.testing.assert_array_equal(logged["map/walked", number], [walked[: number + 1]])
        np.testing.assert_array_equal(logged["map/agent", number], walked[number : number + 1])
        assert logged["curves/value", number] == 0.5
        assert logged["curves/stop_probability", number] == step.stop_probability
        assert logged["curves/nDTW", number] == step.metrics["nDTW"]
        assert logged["probabilities", number][step.action] == pytest.approx(0.9)
        word = trace.words[number % 4].strip()
        assert logged["attention", number].startswith(f"{word} 1.00, ")
        assert logged["panorama", number] == pictures.jpeg(trace.scan, step.viewpoint, WIDTHS[0])


def test_continuous_walks_are_refused(library, expert_trace, tmp_path):
    with pytest.raises(ValueError, match="expert walks continuously, but logs contain walks on gr"):
        log_trace(tmp_path / "walk.rrd", expert_trace, library, NoPictures("none"))
    assert not list(tmp_path.iterdir())


def test_the_error_without_rerun_names_the_extra(library, traces, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[rerun\]"):
        log_trace(tmp_path / "walk.rrd", traces[0], library, NoPictures("none"))
    assert not list(tmp_path.iterdir())
