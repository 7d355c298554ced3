import hashlib
import json

import pytest

from storage.checksums import Checksums


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_file_is_held_to_what_it_was(tmp_path):
    file = tmp_path / "in" / "data.txt"
    file.parent.mkdir()
    file.write_text("first")
    checksums = Checksums(tmp_path)
    assert checksums.seen("in/data.txt") is None
    assert checksums.check("in/data.txt", None, "http://x/data.txt") == sha256("first")
    again = Checksums(tmp_path)
    assert again.seen("in/data.txt") == sha256("first")
    assert again.check("in/data.txt", None, "http://x/data.txt") == sha256("first")
    file.write_text("second")
    with pytest.raises(
        ValueError, match=r"data\.txt: .*checksums\.json has seen .*delete its entry"
    ):
        again.check("in/data.txt", None, "http://x/data.txt")
    (tmp_path / "checksums.json").unlink()
    assert Checksums(tmp_path).check("in/data.txt", None, "") == sha256("second")


def test_a_known_checksum_counts_more(tmp_path):
    (tmp_path / "a").write_text("text")
    checksums = Checksums(tmp_path)
    with pytest.raises(ValueError, match=f"is {sha256('text')}, but it must have {'1' * 64}"):
        checksums.check("a", "1" * 64, "http://x/a")
    assert not checksums.path.exists()
    assert checksums.check("a", sha256("text"), "http://x/a") == sha256("text")
    entry = json.loads(checksums.path.read_text())["a"]
    assert entry == {"sha256": sha256("text"), "url": "http://x/a"}


@pytest.mark.parametrize("text", ["{", "[]", '{"a": {}}', '{"a": "b"}', "\xff"])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "checksums.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"checksums\.json: not .*; delete it"):
        Checksums(tmp_path)
