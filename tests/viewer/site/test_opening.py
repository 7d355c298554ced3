import gzip
import json
from pathlib import Path

import msgspec
import pytest

from clipnav.viewer.site.opening import kind_of, label_agents
from clipnav.viewer.trace import write_trace


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
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(walks)[:20])
    with pytest.raises(ValueError, match=r"cut\.json\.gz: the compressed data is damaged"):
        kind_of(tmp_path / "cut.json.gz")
    with pytest.raises(FileNotFoundError, match="name a run"):
        kind_of(tmp_path / "nothing")


def test_agents_of_one_name_get_distinct_names_if_they_walked_differently(traces):
    teacher, wanderer = traces[:14], traces[14:]
    one, two = Path("/x/one"), Path("/x/two")
    other = [msgspec.structs.replace(teacher[3], ending="cut off"), teacher[4]]
    distinct = label_agents({one: [*teacher, *wanderer], two: [*other, *wanderer]})
    names = {key: [trace.agent for trace in walks[:1]] for key, walks in distinct.items()}
    assert names == {
        (one, "teacher"): ["teacher one"],
        (one, "wanderer"): ["wanderer"],
        (two, "teacher"): ["teacher two"],
        (two, "wanderer"): [],
    }
    assert [trace.instr_id for trace in distinct[two, "teacher"]] == ["101_1", "102_0"]
    assert label_agents({one: traces}) == {
        (one, "teacher"): teacher,
        (one, "wanderer"): wanderer,
    }
