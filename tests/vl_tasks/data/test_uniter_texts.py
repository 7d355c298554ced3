"""UNITER's text databases of SNLI-VE, built by the libraries that UNITER uses."""

import lmdb
import lz4.frame
import msgspec
import pytest

from clipnav.vl_tasks.data.pairs import LABELS, Hypothesis, read_hypotheses

RECORD = {
    "sentence1": "Two women embracing.",
    "sentence2": "The sisters are hugging.",
    "gold_label": "neutral",
    "target": {"labels": [2], "scores": [1.0]},
    "image_id": 4705552913,
    "img_fname": "flickr30k_004705552913.npz",
    "input_ids": [1103, 5919, 1132, 19558],
    # As msgpack_numpy writes an array, with keys that are bytes.
    "lengths": {b"nd": True, b"type": b"<i4", b"kind": b"", b"shape": [1], b"data": b"    "},
}


def write_database(folder, records):
    """Write records, or compressed values, by id."""
    with lmdb.open(str(folder), map_size=1 << 24) as environment:
        with environment.begin(write=True) as transaction:
            for key, value in records.items():
                raw = value if isinstance(value, bytes) else compress(value)
                transaction.put(key.encode(), raw)
    return folder


def compress(record):
    return lz4.frame.compress(msgspec.msgpack.encode(record))


def without(*names, **changes):
    return {**{k: v for k, v in RECORD.items() if k not in names}, **changes}


@pytest.fixture
def database(tmp_path):
    return lambda records: write_database(tmp_path / "ve_dev.db", records)


def test_records_are_hypotheses(database):
    path = database({"a": RECORD, "b": without("gold_label", target={"labels": [1]})})
    text, premise = RECORD["sentence2"], RECORD["sentence1"]
    assert read_hypotheses(path) == [
        Hypothesis("a", "4705552913", text, LABELS.index("neutral"), premise),
        Hypothesis("b", "4705552913", text, LABELS.index("entailment"), premise),
    ]


def test_fields_of_the_published_files_are_read_too(database):
    path = database({"a": without("image_id", "target", Flikr30kID="47.jpg", gold_label="-")})
    assert read_hypotheses(path) == [
        Hypothesis("a", "47", RECORD["sentence2"], -1, RECORD["sentence1"])
    ]
    with pytest.raises(ValueError, match=r"ve_dev.db: record 1 .pairID b.: field 'Flickr30K_ID'"):
        read_hypotheses(database({"b": without("image_id")}))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (without("sentence2"), "missing required field sentence2"),
        (without(target={"labels": [3]}), "'target.labels': 3 is not one of 0, 1, 2"),
        (without(target={"labels": [1]}), r"1 .entailment. contradicts the field 'gold_label'"),
        (compress(RECORD)[:-20], "it is truncated"),
        (b"no frame", "the compressed data is damaged"),
        (lz4.frame.compress(bytes(1 << 21)), "has more than 1048576 bytes"),
        (lz4.frame.compress(b"no record"), "Expected object"),
    ],
)
def test_damaged_records_are_named(database, value, problem):
    path = database({"a": RECORD, "b": value})
    with pytest.raises(ValueError, match=rf"ve_dev.db: record 1 \(id b\): .*{problem}.*; download"):
        read_hypotheses(path)


def test_an_empty_or_foreign_folder_is_named(database, tmp_path):
    with pytest.raises(ValueError, match="it contains no hypothesis"):
        read_hypotheses(database({}))
    damaged = tmp_path / "ve_test.db"
    damaged.write_bytes(bytes(5000))
    with pytest.raises(
        ValueError, match=r"ve_test\.db: damaged or not an LMDB file.*; download the file again"
    ):
        read_hypotheses(damaged)
    empty = tmp_path / "empty.db"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match=r"data\.mdb"):
        read_hypotheses(empty)
