import json
from pathlib import Path

import pytest

from clipnav.connectivity import read_connectivity, read_scans


def _records(count=2):
    return [
        {
            "image_id": f"{i:032x}",
            "pose": [1, 0, 0, float(i), 0, 1, 0, 0.0, 0, 0, 1, 1.5, 0, 0, 0, 1],
            "included": True,
            "visible": [i != j for j in range(count)],
            "unobstructed": [i != j for j in range(count)],
            "height": 1.5,
        }
        for i in range(count)
    ]


def _write(directory: Path, records) -> None:
    text = records if isinstance(records, str) else json.dumps(records)
    (directory / "home_connectivity.json").write_text(text)


def test_written_graphs_are_read(tmp_path):
    _write(tmp_path, _records(3))
    assert read_connectivity("home", tmp_path) == _records(3)


def test_the_error_of_a_missing_graph_names_file_and_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"home_connectivity\.json.*build-houses"):
        read_connectivity("home", tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image_id", 7, "record 1: field 'image_id'"),
        ("image_id", "0" * 32, "occurs twice"),
        ("pose", [1.0] * 15, "record 1: field 'pose'"),
        ("pose", [float("nan")] * 16, "record 1: field 'pose'"),
        ("pose", [10**400] * 16, "an integer of 401 digits"),
        ("included", 1, "record 1: field 'included'"),
        ("visible", [True], "record 1: field 'visible' has 1 entries for 2 viewpoints"),
        ("unobstructed", [1, 0], "record 1: field 'unobstructed'"),
        ("unobstructed", [False, False], "record 0: field 'unobstructed' has an edge to 1"),
        ("height", None, "record 1: field 'height'"),
    ],
)
def test_the_error_of_an_invalid_field_names_it(tmp_path, field, value, message):
    records = _records()
    records[1][field] = value
    _write(tmp_path, records)
    with pytest.raises(ValueError, match=message):
        read_connectivity("home", tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[3]", '[{"image_id": "a"}]', "[" * 99_999])
def test_damaged_file_is_refused(tmp_path, text):
    _write(tmp_path, text)
    with pytest.raises(ValueError, match=r"home_connectivity\.json"):
        read_connectivity("home", tmp_path)


def test_scan_lists_are_read_and_checked(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"scans\.txt"):
        read_scans(tmp_path)
    (tmp_path / "scans.txt").write_text("b\na\n")
    assert read_scans(tmp_path) == ["b", "a"]
    (tmp_path / "scans.txt").write_text("b\na\nb\n")
    with pytest.raises(ValueError, match="'b' is listed twice"):
        read_scans(tmp_path)


def test_real_graphs_are_valid(shared):
    directory = shared / "data" / "matterport" / "connectivity"
    counts = [len(read_connectivity(scan, directory)) for scan in read_scans(directory)]
    assert len(counts) == 90
    assert min(counts) > 0
