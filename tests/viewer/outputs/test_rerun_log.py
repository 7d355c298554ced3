import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.outputs.rerun_log import log_trace


def test_logs_are_read_by_rerun(library, pictures, traces, tmp_path, monkeypatch):
    pytest.importorskip("rerun", reason="logs need the extra 'rerun'")
    trace, path = traces[0], tmp_path / "walk.rrd"
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


def test_continuous_walks_are_refused(library, expert_trace, tmp_path):
    with pytest.raises(ValueError, match="expert walks continuously, but logs contain walks on gr"):
        log_trace(tmp_path / "walk.rrd", expert_trace, library, NoPictures("none"))
    assert not list(tmp_path.iterdir())


def test_the_error_without_rerun_names_the_extra(library, traces, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[rerun\]"):
        log_trace(tmp_path / "walk.rrd", traces[0], library, NoPictures("none"))
    assert not list(tmp_path.iterdir())
