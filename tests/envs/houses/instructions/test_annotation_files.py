"""Tests of annotation files: replacing some houses, and damaged or missing files."""

import json

import pytest

from clipnav.envs.houses.instructions.annotation_files import (
    guide_path,
    merge_guide,
    merge_r2r,
    r2r_path,
    read_annotations,
)
from clipnav.storage.errors import UserError


def record(scan, number):
    return {
        "scan": scan,
        "path_id": number,
        "instruction_id": number,
        "heading": 0.1 + 0.2,
        "instruction": "कुर्सी",
    }


KINDS = pytest.mark.parametrize(
    ("merge", "name"), [(merge_guide, guide_path), (merge_r2r, r2r_path)]
)


@KINDS
def test_merging_keeps_the_records_of_other_houses(tmp_path, merge, name):
    path = name(tmp_path, "train")
    mine, other = [record("tiny", number) for number in (5, 3, 4)], [record("other", 1)]
    merge(path, ["tiny"], mine)
    merge(path, ["other"], other)
    merge(path, ["tiny"], mine[:2])
    assert read_annotations(path) == [*other, mine[1], mine[0]]
    first = path.read_bytes()
    merge(path, ["tiny"], mine[:2])
    assert path.read_bytes() == first


@KINDS
def test_errors_name_damaged_and_missing_files(tmp_path, merge, name):
    path = name(tmp_path, "train")
    with pytest.raises(FileNotFoundError, match=rf"{path.name} is missing; .*clipnav build-houses"):
        read_annotations(path)
    merge(path, ["tiny"], [record("tiny", number) for number in range(9)])
    intact = path.read_bytes()
    for damaged in (intact[:-12], b"{" + intact[1:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{path.name}: record .*delete a damaged file"):
            merge(path, ["other"], [record("other", 1)])
        assert path.read_bytes() == damaged


@KINDS
def test_files_of_other_records_are_named_instead_of_overwritten(tmp_path, merge, name):
    path = name(tmp_path, "train")
    for field in ("scan", "path_id" if merge is merge_r2r else "instruction_id"):
        foreign = record("other", 1)
        del foreign[field]
        path.write_text(json.dumps([foreign]))
        with pytest.raises(
            UserError, match=rf"{path.name}: record 0.*: field '{field}' is missing"
        ):
            merge(path, ["tiny"], [record("tiny", 2)])
        assert json.loads(path.read_text()) == [foreign]
