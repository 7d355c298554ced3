import sys

import pytest

from vl_tasks.text import java

# Stands in for METEOR: the statistics of a caption are its number of words, its score a tenth.
METEOR = """
import sys
for line in sys.stdin:
    kind, *fields = [field.strip() for field in line.split("|||")]
    if kind == "SCORE":
        print(len(fields[-1].split()), flush=True)
    else:
        for field in fields:
            print(int(field) / 10)
        print(sum(map(int, fields)) / 100, flush=True)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a Python programme in the place of Java."""

    def put(programme):
        script = tmp_path / "java"
        script.write_text(f"#!{sys.executable}\n{programme}")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def test_meteor_is_spoken_to_in_its_way(stand_in):
    stand_in(METEOR)
    predictions = ["a red ||| sofa", "a b"] * 500
    scores = java.meteor(predictions, [["a sofa", "sofa"]] * 1000)
    assert scores == [0.3, 0.2] * 500 + [25.0]


def test_a_programme_that_ends_early(stand_in):
    stand_in("import sys; sys.stdin.readline(); print(1)")
    with pytest.raises(ChildProcessError, match="ended after 1 answers"):
        java.meteor(["a", "b"], [["a"], ["b"]])


def test_a_programme_that_hangs(stand_in, monkeypatch):
    monkeypatch.setattr(java, "_SECONDS", 0.2)
    monkeypatch.setattr(java, "_SECONDS_PER_CAPTION", 0.0)
    stand_in("import time; time.sleep(60)")
    with pytest.raises(ChildProcessError, match="ended after 0 answers"):
        java.meteor(["a"], [["a"]])
    with pytest.raises(ChildProcessError, match="no end after 0 s"):
        java.ptb_lines(["a"])


def test_a_programme_that_fails(stand_in):
    stand_in("import sys; sys.exit('no such class')")
    with pytest.raises(ChildProcessError, match="failed: no such class"):
        java.ptb_lines(["a"])
    stand_in("print('a')")
    with pytest.raises(ChildProcessError, match="made 1 lines of 2 captions"):
        java.ptb_lines(["a", "b"])


def test_without_java(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not java.java_ready()
    with pytest.raises(FileNotFoundError, match="install a Java runtime"):
        java.meteor(["a"], [["a"]])


def test_spice_names_the_parser_that_it_lacks(stand_in, tmp_path, monkeypatch):
    stand_in("")
    monkeypatch.setattr(java, "_package", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"stanford-corenlp-3\.6\.0\.jar: SPICE needs it"):
        java.spice({"1": "a dog"}, {"1": ["a dog"]})


def test_spice_reads_what_it_wrote(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(java, "_package", lambda: tmp_path)
    parser = tmp_path / "spice" / "lib"
    parser.mkdir(parents=True)
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (parser / name).touch()
    stand_in(
        "import json, sys\n"
        "given = json.load(open(sys.argv[4]))\n"
        "out = [{'image_id': g['image_id'], 'scores': {'All': {'f': len(g['refs']) / 10}}}\n"
        "       for g in reversed(given)]\n"
        "json.dump(out, open(sys.argv[6], 'w'))\n"
    )
    scores = java.spice({"1": "a", "2": "b"}, {"1": ["a"], "2": ["a", "b"]})
    assert scores == [0.1, 0.2]
