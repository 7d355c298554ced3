import json

import pytest

from clipnav.agents.experiments.ranking import read_published
from clipnav.agents.language_models.models.replies import ReplyCache
from clipnav.bench.suites import parse_suite
from clipnav.cli import expanded
from clipnav.experiments.declarations import read_experiments
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import MOST_DEPTH, decode_part, read_bytes, read_json


@pytest.fixture
def read(tmp_path):
    def read(text, **options):
        path = tmp_path / "settings.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_json(path, "mend it", **options)

    return read


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "3", '"a"', '{"a": {"a": [1.5, -2, null, true]}}', str(-(2**63)), str(2**64 - 1)],
)
def test_strict_documents_are_read(read, text):
    assert read(text) == json.loads(text)


def test_nesting_depth_is_limited(read):
    assert read(nested(MOST_DEPTH)) == json.loads(nested(MOST_DEPTH))
    for deep in (nested(MOST_DEPTH + 1), nested(100_000), '{"a":' * 100 + "1" + "}" * 100):
        with pytest.raises(ValueError, match=rf"nested deeper than {MOST_DEPTH} levels"):
            read(deep)
    assert len(read(json.dumps([[]] * 1000))) == 1000  # wide is not deep


def test_deep_parts_of_large_documents_are_refused_in_one_line():
    deep = nested(100_000).encode()
    with pytest.raises(UserError, match=r"^boxes\.json: it is nested too deeply; mend it$"):
        decode_part(deep, object, "boxes.json", "mend it")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("published.toml", read_published),
        ("a.toml", lambda path: expanded(["--config", str(path)])),
        ("suite.toml", lambda path: parse_suite(path.read_text("utf-8"), path)),
        ("experiments.toml", lambda path: read_experiments(path.parent)),
        ("ab/abcd.json", lambda path: ReplyCache(path.parents[1]).read("abcd")),
    ],
)
def test_readers_of_deep_files_name_them_in_one_line(name, read, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"text = {nested(100_000)}" if path.suffix == ".toml" else f'{{"x": {nested(100_000)}}}'
    )
    with pytest.raises(UserError, match=rf"^{path}: .*it is nested too deeply[^\n]*; .*$"):
        read(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"seed": 1, "rate": 2, "seed": 3}', "key 'seed' occurs 2 times in one object"),
        ('{"x": [{"a": 1, "a": 1}]}', "key 'a' occurs 2 times"),
        ("9" * 4000, "an integer of 4000 digits"),
        ("-1e999", "the number -1e999 is out of range"),
        (r'["a\ud800"]', r"'\\ud800' in position 3: surrogates not allowed"),
        (r'{"\uDE00\uD83D": 1}', "surrogates not allowed"),
        ("[NaN]", "NaN is not a JSON number"),
        ('{"x": -Infinity}', "-Infinity is not a JSON number"),
        ("", "Expecting value"),
        ("[1, 2", "delimiter"),
        (b"\xff\xfe", "'utf-8' codec"),
        (b"\x00" * 9, "Expecting value"),
    ],
)
def test_errors_are_one_line_with_file_and_remedy(read, tmp_path, text, problem):
    with pytest.raises(ValueError, match=problem) as error:
        read(text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'settings.json'}: not valid JSON (")
    assert message.endswith("); mend it")
    assert "\n" not in message


def test_large_files_are_refused_before_reading(tmp_path):
    path = tmp_path / "sparse.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"sparse\.json: larger than 268,435,456 bytes.*; mend it"):
        read_json(path, "mend it")
    path.write_bytes(b"12345")
    assert read_bytes(path, "mend it", 5) == b"12345"
    with pytest.raises(ValueError, match="larger than 4 bytes"):
        read_bytes(path, "mend it", 4)
