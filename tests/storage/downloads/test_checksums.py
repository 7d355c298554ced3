import hashlib
import json

import pytest

from clipnav.storage.downloads import Checksums


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_changes_of_a_recorded_file_are_detected(tmp_path):
    file = tmp_path / "in" / "data.txt"
    file.parent.mkdir()
    file.write_text("first")
    checksums = Checksums(tmp_path)
    assert checksums.recorded("in/data.txt") is None
    assert checksums.check("in/data.txt", None, "http://x/data.txt") == sha256("first")
    again = Checksums(tmp_path)
    assert again.recorded("in/data.txt") == sha256("first")
    assert again.check("in/data.txt", None, "http://x/data.txt") == sha256("first")
    file.write_text("second")
    with pytest.raises(
        ValueError, match=r"data\.txt: .* is recorded in .*checksums\.json; .*delete its entry"
    ):
        again.check("in/data.txt", None, "http://x/data.txt")
    (tmp_path / "checksums.json").unlink()
    assert Checksums(tmp_path).check("in/data.txt", None, "") == sha256("second")


def test_a_known_checksum_takes_precedence(tmp_path):
    (tmp_path / "a").write_text("text")
    checksums = Checksums(tmp_path)
    with pytest.raises(ValueError, match=f"is {sha256('text')}, but {'1' * 64} was expected"):
        checksums.check("a", "1" * 64, "http://x/a")
    assert not checksums.path.exists()
    assert checksums.check("a", sha256("text"), "http://x/a") == sha256("text")
    entry = json.loads(checksums.path.read_text())["a"]
    assert entry == {"sha256": sha256("text"), "url": "http://x/a"}


def test_two_processes_keep_the_checksums_of_each_other(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    # Both have read the manifest before either adds a file.
    first, second = Checksums(tmp_path), Checksums(tmp_path)
    first.check("a", None, "http://x/a")
    second.check("b", None, "http://x/b")
    assert Checksums(tmp_path).recorded("a") == sha256("a")
    assert Checksums(tmp_path).recorded("b") == sha256("b")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": {}}', '{"a": "b"}', "\xff"])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    (tmp_path / "checksums.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"checksums\.json: .*; delete it"):
        Checksums(tmp_path)
