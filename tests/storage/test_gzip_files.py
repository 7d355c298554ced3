import gzip
import tracemalloc
import zlib

import msgspec
import pytest

from clipnav.storage.gzip_files import ALWAYS_ALLOWED, ExpansionError, open_maybe_packed
from clipnav.storage.records import read_records


class Item(msgspec.Struct):
    path_id: int


def write_bomb(path, megabytes, start=b""):
    """Write spaces, which gzip compresses by a factor of 1000."""
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(start))
        for _ in range(megabytes):
            file.write(packer.compress(b" " * 1_000_000))
        file.write(packer.flush())


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_compressed_and_plain_files_are_read(tmp_path, pack):
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(pack(content))
    with open_maybe_packed(tmp_path / "file") as file:
        assert file.read(10) == content[:10]
        assert file.read() == content[10:]


@pytest.mark.parametrize("start", [b"", b"[", b'{"path_id": 1}\n'])
def test_a_gzip_bomb_is_refused_in_bounded_memory(tmp_path, start):
    path = tmp_path / "bomb.jsonl.gz"
    write_bomb(path, 60, start)
    tracemalloc.start()
    with pytest.raises(ExpansionError, match=r"bomb\.jsonl\.gz: expands to more than 19,.*gunzip"):
        read_records(path, Item, "fetch it again")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * ALWAYS_ALLOWED


def test_files_above_the_limit_are_refused_before_reading(tmp_path):
    path = tmp_path / "sparse.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ExpansionError, match=r"sparse\.json: .* the limit is 8,589,934,592"):
        read_records(path, Item, "")
    with pytest.raises(ExpansionError, match="but the limit is 5"):
        read_records(path, Item, "", 5)
    path.write_bytes(gzip.compress(b'{"path_id": 1}\n' * 50))
    with pytest.raises(ExpansionError, match="expands to more than 700 bytes"):
        read_records(path, Item, "", 700)
