import gzip
import json

import msgspec
import pytest

from clipnav.storage.records import RecordError, _Scanner, stream_records


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
