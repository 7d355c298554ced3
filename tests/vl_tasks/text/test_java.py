import sys

import pytest

from clipnav.vl_tasks.text import java

# Replacement for METEOR: the statistics of a caption are its number of words, its score a tenth.
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
def replace_java(tmp_path, monkeypatch):
    """Function that replaces Java by a Python program."""

    def replace(program):
        script = tmp_path / "java"
        script.write_text(f"#!{sys.executable}\n{program}")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return replace


def test_meteor_follows_the_protocol_of_the_jar(replace_java):
    replace_java(METEOR)
    predictions = ["a red ||| sofa", "a b"] * 500
    scores = java.meteor(predictions, [["a sofa", "sofa"]] * 1000)
    assert scores == [0.3, 0.2] * 500 + [25.0]


def test_a_program_that_hangs_is_an_error(replace_java, monkeypatch):
    monkeypatch.setattr(java, "_SECONDS", 0.2)
    monkeypatch.setattr(java, "_SECONDS_PER_CAPTION", 0.0)
    replace_java("import time; time.sleep(60)")
    with pytest.raises(ChildProcessError, match="ended after 0 lines"):
        java.meteor(["a"], [["a"]])
    with pytest.raises(ChildProcessError, match="still running after 0 s"):
        java.ptb_lines(["a"])


def test_a_program_that_fails_is_an_error(replace_java):
    replace_java("import sys; sys.exit('no such class')")
    with pytest.raises(ChildProcessError, match="failed: no such class"):
        java.ptb_lines(["a"])
    replace_java("print('a')")
    with pytest.raises(ChildProcessError, match="returned 1 lines for 2 captions"):
        java.ptb_lines(["a", "b"])


def test_a_missing_java_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not java.java_ready()
    with pytest.raises(FileNotFoundError, match="install a Java runtime"):
        java.meteor(["a"], [["a"]])


def test_spice_names_the_missing_parser(replace_java, tmp_path, monkeypatch):
    replace_java("")
    monkeypatch.setattr(java, "_package", lambda: tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"stanford-corenlp-3\.6\.0\.jar: SPICE requires this file"
    ):
        java.spice({"1": "a dog"}, {"1": ["a dog"]})


def test_spice_reads_the_scores_by_image(replace_java, tmp_path, monkeypatch):
    monkeypatch.setattr(java, "_package", lambda: tmp_path)
    parser = tmp_path / "spice" / "lib"
    parser.mkdir(parents=True)
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (parser / name).touch()
    replace_java(
        "import json, sys\n"
        "given = json.load(open(sys.argv[5]))\n"
        "out = [{'image_id': g['image_id'], 'scores': {'All': {'f': len(g['refs']) / 10}}}\n"
        "       for g in reversed(given)]\n"
        "json.dump(out, open(sys.argv[7], 'w'))\n"
    )
    scores = java.spice({"1": "a", "2": "b"}, {"1": ["a"], "2": ["a", "b"]})
    assert scores == [0.1, 0.2]
