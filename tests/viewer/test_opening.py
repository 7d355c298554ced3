import gzip
import json

import pytest

from viewer.opening import kind_of
from viewer.trace import write_trace


def test_tells_what_was_named(traces, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    assert kind_of(run) == "run"
    path = write_trace(traces[0], tmp_path / "traces")
    assert kind_of(path.parent) == "traces"
    assert kind_of(path) == "traces"
    walks = json.dumps([{"instr_id": "100_0", "trajectory": [["a0", 0, 0]]}]).encode()
    (tmp_path / "mine.json").write_bytes(walks)
    (tmp_path / "mine.json.gz").write_bytes(gzip.compress(walks))
    assert kind_of(tmp_path / "mine.json") == "submission"
    assert kind_of(tmp_path / "mine.json.gz") == "submission"
    with pytest.raises(FileNotFoundError, match="name a run"):
        kind_of(tmp_path / "nothing")
