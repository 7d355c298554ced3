import struct

import lmdb
import numpy as np
import pytest

from clipnav.storage.lmdb_files import LmdbFile

PAGE = 4096


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file with the library; a value of None deletes its key."""

    def write(*transactions, name="data.lmdb", **options):
        path = tmp_path / name
        settings = {"subdir": False, "lock": False, "map_size": 1 << 28, **options}
        with lmdb.open(str(path), **settings) as environment:
            for items in transactions:
                with environment.begin(write=True) as transaction:
                    for key, value in items.items():
                        if value is None:
                            transaction.delete(key)
                        else:
                            transaction.put(key, value)
        return path

    return write


def read(path):
    with LmdbFile(path) as file:
        return {key: file.get(key) for key in file.keys()}


def values(count, size, seed=0):
    rng = np.random.default_rng(seed)
    return {b"%06d" % i: rng.bytes(int(rng.integers(size)) + 1) for i in rng.permutation(count)}


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 1), (1, 100_000), (40, 9000), (9000, 90)])
def test_files_of_the_library_are_read(write, count, size):
    items = values(count, size)
    assert list(read(write(items)).items()) == sorted(items.items())


def test_the_newest_state_is_read_after_deletions(write):
    items = values(3000, 200)
    gone = dict.fromkeys(list(items)[::3])
    again = values(300, 9000, seed=1)
    path = write(items, gone, again, {b"loose": bytes(9000)}, {b"loose": None})
    expected = {key: value for key, value in items.items() if key not in gone} | again
    assert read(path) == expected


def test_a_folder_is_read_through_its_data_file(write, tmp_path):
    items = values(10, 10)
    write(items, name="folder", subdir=True)
    assert read(tmp_path / "folder") == items
    with LmdbFile(tmp_path / "folder") as file:
        assert file.get(b"none") is None


def root_of(raw):
    """Return the root page of a file that was written once."""
    roots = [struct.unpack_from("<Q", raw, at + 16 + 24 + 48 + 40)[0] for at in (0, PAGE)]
    return min(roots)  # that of the empty file is 2**64 - 1


@pytest.mark.parametrize("size", [90, 9000])
def test_a_truncated_file_is_refused(write, size):
    path = write(values(400, size))
    raw = path.read_bytes()
    # The last pages may have no data after the last value.
    for keep in range(0, len(raw) - 4 * PAGE, 7 * PAGE + 100):
        path.write_bytes(raw[:keep])
        with pytest.raises(ValueError, match=r"data\.lmdb: truncated"):
            read(path)


def test_a_tree_with_a_cycle_is_refused(write):
    path = write(values(3000, 90))
    raw = bytearray(path.read_bytes())
    root = root_of(raw)
    assert struct.unpack_from("<H", raw, root * PAGE + 10)[0] & 1  # a branch
    node = root * PAGE + struct.unpack_from("<H", raw, root * PAGE + 16)[0]
    struct.pack_into("<HHH", raw, node, root & 0xFFFF, root >> 16, 0)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=rf"page {root} is reached twice"):
        read(path)


def test_values_that_share_pages_are_refused(write):
    """Otherwise a small file could expand to an unlimited size."""
    path = write({b"%02d" % i: bytes(50_000) for i in range(20)})
    raw = path.read_bytes()
    leaf = root_of(raw) * PAGE
    damaged = bytearray(raw)
    places = []
    for number in range(20):
        node = leaf + struct.unpack_from("<H", raw, leaf + 16 + 2 * number)[0]
        places.append(node + 8 + 2)
    for place in places:
        damaged[place : place + 8] = raw[places[0] : places[0] + 8]
        struct.pack_into("<HH", damaged, place - 10, 0xFFFF, 0)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="several values share the same pages"):
        read(path)


def test_unsupported_databases_are_refused(write, tmp_path):
    path = tmp_path / "named.lmdb"
    with lmdb.open(str(path), subdir=False, lock=False, max_dbs=2) as environment:
        environment.open_db(b"inner")
    with pytest.raises(ValueError, match=r"named\.lmdb: LMDB files with named databases"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"text", bytes(5 * PAGE), b"\xff" * 9000])
def test_files_of_other_formats_are_refused(tmp_path, content):
    (tmp_path / "a.lmdb").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.lmdb: (truncated, or )?not an LMDB file"):
        read(tmp_path / "a.lmdb")
