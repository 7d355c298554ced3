import gzip
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.episodes import load_episodes
from clipnav.envs.worlds import world_files
from clipnav.storage.records import RecordError, _Scanner, read_records, stream_records

PACKED_LINE = gzip.compress(b'{"path_id": 1}\n', mtime=0)


class Item(msgspec.Struct):
    path_id: int
    text: str = ""


@pytest.fixture
def read(tmp_path):
    def read(data):
        path = tmp_path / "items.json"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_records(path, Item, "mend it")

    return read


@pytest.mark.parametrize(
    "text",
    [
        '[{"path_id": 1, "text": "a\u2028b"}, {"path_id": 2}]',
        '\n [\n{"path_id": 1, "text": "a\u2028b"}\n,\n{"path_id": 2}\n]\n',
        '{"path_id": 1, "text": "a\u2028b"}\n\n{"path_id": 2}',
        '{"path_id": 1, "text": "a\u2028b"}\r\n{"path_id": 2, "more": [{"x": null}]}\r\n',
    ],
)
def test_arrays_and_lines_are_distinguished_by_content(read, text):
    expected = [Item(1, "a\u2028b"), Item(2)]
    assert read(text) == expected
    assert read(gzip.compress(text.encode())) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path_id": 1', "record 0: not valid JSON"),
        ('{"path_id": 1}\n{"path_id": }', "record 1: not valid JSON"),
        ('{"path_id": 1}\n3', "record 1: expected object, got int"),
        ('{"path_id": 1}\n["a"]', "record 1: expected object, got array"),
        ('[{"path_id": NaN}]', r"record 0 \(path_id nan\): not valid JSON \(NaN is not a JSON"),
        ('{"path_id": -Infinity}', r"record 0 \(path_id -inf\): not valid JSON \(-Infinity"),
        ('["a"]', "record 0: expected object, got str"),
        ("{}", "record 0: field 'path_id' is missing"),
        ("[", "record 0: not valid JSON"),
        ('{\n  "path_id": 1\n}\n', "record 0: an object on several lines, in neither a JSON array"),
        ("[]]", "record 0: text follows the end"),
        (
            '[{"path_id": 1}, {"path_id": 2} {}]',
            r"record 1 \(path_id 2\): a comma or the end of the list",
        ),
        (
            '[{"path_id": 1}, {"path_id": 2}',
            r"record 1 \(path_id 2\): a comma or the end of the list",
        ),
        ('[{"path_id": 1}, {"path_id"', "record 1: not valid JSON"),
        ('[{"path_id": 1},]', "record 1: not valid JSON"),
        ('[{"path_id": 1}] []', r"record 0 \(path_id 1\): text follows the end"),
        (
            '[{"path_id": 1}, {"path_id": 2, "text": "\\ud800"}]',
            r"record 1 \(path_id 2\): not valid JSON",
        ),
        ('[{"path_id": 1}, {"path_id": NaN}]', r"record 1 \(path_id nan\): not valid JSON"),
        ('[{"path_id": 1}, {"path_id": %s}]' % ("9" * 5000), "record 1: "),
        ('[{"path_id": 1}, %s]' % ("[" * 100_000), "record 1: "),
        ('{"path_id": 1, "text": ""}\n{"x": %s' % ("[" * 100_000), "record 1: it is nested"),
        (b'[{"path_id": 1}, {"path_id": 2, "text": "\xff"}]', "record 1: not valid JSON"),
        (b'{"path_id": 1}\n\xff', "record 1: not valid JSON"),
        (b"\x1f\x8b", "record 0: the compressed data is damaged"),
        (b"\x1f\x8bgarbage, not gzip", "record 0: the compressed data is damaged"),
        (PACKED_LINE[:-8], "record 1: the compressed data is damaged"),
        ('{"instr_id": "7_1", "path_id": 1.5}', r"record 0 \(path_id 1.5\): field 'path_id': "),
    ],
)
def test_errors_name_file_record_and_remedy(read, tmp_path, text, message):
    with pytest.raises(RecordError, match=rf"^{tmp_path}/items\.json: {message}.*; mend it$"):
        read(text)


@st.composite
def damages(draw):
    """Draw a random change of some bytes."""
    kind = draw(st.sampled_from(["replace", "insert", "delete", "cut"]))
    where = draw(st.floats(0, 1, exclude_max=True))
    token = st.sampled_from(
        [b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\n", b"null", b"-1"]
    )
    return kind, where, draw(token | st.binary(min_size=1, max_size=4)), draw(st.integers(1, 40))


def change(data, damage):
    kind, where, text, count = damage
    place = int(where * len(data))
    if kind == "cut":
        return data[:place]
    after = {"replace": place + len(text), "insert": place, "delete": place + count}[kind]
    return data[:place] + (b"" if kind == "delete" else text) + data[after:]


def load_or_explain(folder, dataset):
    """Return the error of a damaged training split, or None if it is read."""
    try:
        episodes = load_episodes(dataset, "train", world_files("matterport", folder), timed=True)
    except ValueError as error:
        return str(error)
    assert all(e.path and e.instruction.strip() for e in episodes)
    return None


@pytest.fixture(scope="module")
def fuzzed(tiny_world, tmp_path_factory):
    """Data folder with the graphs of the tiny world; tests overwrite its annotations."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "matterport").symlink_to(tiny_world / "matterport")
    for dataset in ("r2r", "rxr"):
        (folder / dataset).mkdir()
    return folder


@settings(max_examples=50, deadline=None)
@given(damage=st.lists(damages(), min_size=1, max_size=3), packed=st.booleans())
@pytest.mark.parametrize("name", ["r2r/R2R_train.json", "rxr/rxr_train_guide.jsonl"])
def test_damaged_bytes_are_read_or_refused(tiny_world, fuzzed, name, damage, packed):
    data = (tiny_world / name).read_bytes()
    data = gzip.compress(data, mtime=0) if packed else data
    for change_of_bytes in damage:
        data = change(data, change_of_bytes)
    (fuzzed / name).write_bytes(data)
    complaint = load_or_explain(fuzzed, name[:3])
    if complaint is not None:
        assert complaint.startswith(
            (f"{fuzzed / name}: record ", f"{fuzzed / name}: the file contains no")
        )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=50, deadline=None)
@given(number=st.integers(0, 13), value=values, data=st.data())
def test_any_value_in_any_field_is_read_or_refused(tiny_world, fuzzed, number, value, data):
    text = (tiny_world / "rxr" / "rxr_train_guide.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    field = data.draw(st.sampled_from([*lines[0], "edit_distance", "timed_instruction"]))
    lines[number][field] = value
    path = fuzzed / "rxr" / "rxr_train_guide.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    complaint = load_or_explain(fuzzed, "rxr")
    if complaint is not None:
        # The error of a duplicate id names the second record.
        assert complaint.startswith(f"{path}: record {number}") or "occurs twice" in complaint


class Sentence(msgspec.Struct):
    image: str
    number: float


RECORDS = [{"image": 'é, [x] "y" }' * k, "number": k / 7, "more": [k]} for k in range(60)]


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("pack", [False, True], ids=["plain", "gzip"])
def test_records_are_read_across_chunks(tmp_path, monkeypatch, chunk, pack):
    monkeypatch.setattr("clipnav.storage.records._CHUNK", chunk)
    path = tmp_path / "records.json"
    raw = json.dumps(RECORDS, ensure_ascii=False, indent=chunk % 3 or None).encode()
    path.write_bytes(gzip.compress(raw) if pack else raw)
    records = list(stream_records(path, Sentence, "fetch it again"))
    assert [(one.image, one.number) for one in records] == [
        (one["image"], one["number"]) for one in RECORDS
    ]


def test_only_a_part_of_the_file_is_in_memory(tmp_path):
    path = tmp_path / "records.json"
    path.write_text(json.dumps([{"image": "x" * 1000, "number": k} for k in range(4000)]))
    with path.open("rb") as file:
        scanner = _Scanner(file)
        longest = max(len(scanner._text) for _ in scanner.elements())
    assert longest < path.stat().st_size / 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "record 0: the file is not a JSON array"),
        ('[{"image": "a", "number": 1}', "record 0: a comma or the end of the list is missing"),
        ('[{"image": "a", "number": 1},]', "record 1: not valid JSON"),
        ('[{"image": "a", "number": "b"}]', "record 0: field 'number'"),
        ('[{"image": "a"}]', "record 0: field 'number' is missing"),
        ('[{"image": "a", "number": 1}] x', "record 0: text follows the end of the list"),
        ('[{"image": "a", "num', "record 0: not valid JSON"),
    ],
)
def test_damage_is_named_with_its_record(tmp_path, text, problem):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=problem) as error:
        list(stream_records(path, Sentence, "fetch it again"))
    message = str(error.value)
    assert message.startswith(str(path))
    assert message.endswith("; fetch it again")
    assert "\n" not in message


def test_a_record_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("clipnav.storage.records._MOST_RECORD", 1000)
    monkeypatch.setattr("clipnav.storage.records._CHUNK", 100)
    path = tmp_path / "long.json"
    path.write_text('[{"image": "' + "a" * 5000)
    with pytest.raises(RecordError, match="longer than 1,000 bytes"):
        list(stream_records(path, Sentence, "fetch it again"))
