"""Read LMDB files without mapping them into memory.

The LMDB library trusts its files: a damaged or truncated one can crash the process (SIGBUS). Here
the B+ tree is read in Python, and every page number and offset is checked against the size of the
file, so that damage raises an error. Only the keys and values of the main database are read, which
is sufficient for feature files.

Structures and constants follow `mdb.c` of LMDB 0.9 (MDB_meta, MDB_db, MDB_page, MDB_node) for
64-bit little-endian machines.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from clipnav.storage.errors import UserError

LMDB_DATA = "data.mdb"  # name of the file in a folder, which is LMDB's default
_PAGE = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
_OVERFLOW_PAGE = struct.Struct("<QHHI")  # number, pad, flags, number of pages
# Magic, version, address, map size; pad, flags, depth, 3 numbers of pages, entries and root of the
# free and of the main database; last page, transaction.
_META = struct.Struct("<IIQQ IHHQQQQQ IHHQQQQQ QQ")
_NODE = struct.Struct("<HHHH")  # low and high half of the size, flags, size of the key
_NUMBER = struct.Struct("<Q")
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_NO_PAGE = (1 << 64) - 1
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 0x01, 0x02, 0x04, 0x08
_PAGE_TYPES = 0x6F  # all page types: those above, P_LEAF2 and P_SUBP
_BIG_DATA, _NESTED_DATA = 0x01, 0x06  # flags of nodes: F_BIGDATA, F_SUBDATA and F_DUPDATA
_PAGE_SIZES = tuple(1 << power for power in range(9, 17))
_MOST_DEPTH = 32  # CURSOR_STACK


class _Meta(NamedTuple):
    """Fields of a meta page that describe the main database."""

    page_size: int
    flags: int
    root: int
    last_page: int
    transaction: int


class _Location(NamedTuple):
    """Location of a value.

    Attributes:
        offset: Offset of the value, or of its first overflow page, in the file.
        size: Size of the value in bytes.
        page: Number of the first overflow page; the value follows its header. None if the value is
            in the leaf.
    """

    offset: int
    size: int
    page: int | None


class LmdbFile:
    """Keys and values of the main database of an LMDB file. Close it, or use it in `with`.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Read and check the tree of keys; `get` reads the values.

        Args:
            path: The file, or the folder that contains it as `LMDB_DATA`.

        Raises:
            OSError: The file cannot be opened.
            UserError: The file is damaged, truncated, or not a supported LMDB file.
        """
        self.path = path / LMDB_DATA if path.is_dir() else path
        self._file: BinaryIO = self.path.open("rb", buffering=0)
        try:
            self._size = self._file.seek(0, 2)
            self._meta = self._newest_meta()
            self._locations: dict[bytes, _Location] = {}
            for key, location in self._walk():
                if key in self._locations:
                    raise self._damaged(f"key {key!r:.80} occurs twice")
                self._locations[key] = location
        except BaseException:
            self._file.close()
            raise

    def keys(self) -> list[bytes]:
        """Return the keys in the order of the file."""
        return list(self._locations)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; None if the key does not exist.

        Raises:
            UserError: The value is damaged.
        """
        location = self._locations.get(key)
        if location is None:
            return None
        offset, size, page = location
        if page is None:
            return self._read(offset, size)
        raw = self._read(offset, _OVERFLOW_PAGE.size + size)
        number, _, flags, count = _OVERFLOW_PAGE.unpack_from(raw)
        is_expected = number == page and flags & _PAGE_TYPES == _OVERFLOW
        if not is_expected or len(raw) > count * self._meta.page_size:
            raise self._damaged(f"page {page} does not contain the value of {key!r:.80}")
        return raw[_OVERFLOW_PAGE.size :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "LmdbFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _newest_meta(self) -> _Meta:
        first = self._meta_at(0)
        second = self._meta_at(first.page_size)
        if second.page_size != first.page_size:
            raise self._damaged("its two meta pages contradict each other")
        meta = max(first, second, key=lambda meta: meta.transaction)
        if meta.flags & 0x04:  # MDB_DUPSORT
            raise UserError(
                f"{self.path}: LMDB files with several values per key are not supported"
            )
        return meta

    def _meta_at(self, offset: int) -> _Meta:
        if self._size < offset + _PAGE.size + _META.size:
            raise UserError(f"{self.path}: truncated, or not an LMDB file")
        raw = self._read(offset, _PAGE.size + _META.size)
        flags = _PAGE.unpack_from(raw)[2]
        magic, version, _, _, page_size, *rest = _META.unpack_from(raw, _PAGE.size)
        if magic != _MAGIC or flags & _PAGE_TYPES != _META_PAGE:
            raise UserError(f"{self.path}: not an LMDB file, or damaged at byte {offset}")
        if version != _VERSION or page_size not in _PAGE_SIZES:
            raise UserError(
                f"{self.path}: LMDB file of version {version} with pages of {page_size} bytes, but "
                f"only version {_VERSION} with {_PAGE_SIZES[0]} to {_PAGE_SIZES[-1]} is supported"
            )
        # `rest` has 7 values of the free database, then the main database, which starts with a pad.
        return _Meta(page_size, rest[8], rest[14], *rest[15:])

    def _walk(self) -> Iterator[tuple[bytes, _Location]]:
        """Yield the keys and the locations of their values, in order."""
        if self._meta.root == _NO_PAGE:
            return
        budget = min(self._meta.last_page + 1, self._size // self._meta.page_size)
        visited: set[int] = set()
        path = [iter([self._meta.root])]
        while path:
            number = next(path[-1], None)
            if number is None:
                path.pop()
                continue
            if number in visited or len(path) > _MOST_DEPTH:
                raise self._damaged(f"page {number} is reached twice")
            visited.add(number)
            page = self._page(number)
            if _PAGE.unpack_from(page)[2] & _PAGE_TYPES == _BRANCH:
                path.append(iter(list(self._children(page, number))))
                continue
            for key, location in self._leaves(page, number):
                if location.page is not None:
                    pages = -(-(_OVERFLOW_PAGE.size + location.size) // self._meta.page_size)
                    budget -= pages
                if budget < 0:
                    raise self._damaged("several values share the same pages")
                yield key, location

    def _page(self, number: int) -> bytes:
        """Read a branch or leaf page and check its header."""
        page = self._read(self._offset(number), self._meta.page_size)
        own_number, _, flags, lower, upper = _PAGE.unpack_from(page)
        is_valid = _PAGE.size <= lower <= upper <= len(page) and lower % 2 == 0
        if own_number != number or flags & _PAGE_TYPES not in (_BRANCH, _LEAF) or not is_valid:
            raise self._damaged(f"page {number} is neither a branch nor a leaf of its tree")
        return page

    def _nodes(self, page: bytes, number: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield low and high half of the size, flags, and start and end of the key of each node."""
        lower, upper = _PAGE.unpack_from(page)[3:]
        for (start,) in struct.iter_unpack("<H", page[_PAGE.size : lower]):
            if not upper <= start <= len(page) - _NODE.size:
                raise self._damaged(f"a node of page {number} is outside the page")
            low, high, flags, key_size = _NODE.unpack_from(page, start)
            end = start + _NODE.size + key_size
            if end > len(page):
                raise self._damaged(f"a key of page {number} is longer than the page")
            yield low, high, flags, start + _NODE.size, end

    def _children(self, page: bytes, number: int) -> Iterator[int]:
        for low, high, flags, _, _ in self._nodes(page, number):
            yield low | high << 16 | flags << 32  # in branches the flags are bits of the number

    def _leaves(self, page: bytes, number: int) -> Iterator[tuple[bytes, _Location]]:
        for low, high, flags, start, end in self._nodes(page, number):
            size = low | high << 16
            if flags & _NESTED_DATA:
                raise UserError(f"{self.path}: LMDB files with named databases are not supported")
            if flags & _BIG_DATA:
                if end + _NUMBER.size > len(page):
                    raise self._damaged(f"a node of page {number} is longer than the page")
                overflow = _NUMBER.unpack_from(page, end)[0]
                location = _Location(self._offset(overflow), size, overflow)
            else:
                if end + size > len(page):
                    raise self._damaged(f"a value of page {number} is longer than the page")
                location = _Location(self._offset(number) + end, size, None)
            yield page[start:end], location

    def _offset(self, number: int) -> int:
        offset = number * self._meta.page_size
        if number > self._meta.last_page:
            raise self._damaged(f"it refers to page {number}, but has {self._meta.last_page + 1}")
        if offset >= self._size:
            raise UserError(
                f"{self.path}: truncated, {self._size:,} bytes, but byte {offset:,} is referenced"
            )
        return offset

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise UserError(
                f"{self.path}: truncated, {self._size:,} bytes of at least {offset + size:,}"
            )
        self._file.seek(offset)
        raw = self._file.read(size)
        while len(raw) < size:
            more = self._file.read(size - len(raw))
            if not more:
                raise UserError(f"{self.path}: another process truncated the file during reading")
            raw += more
        return raw

    def _damaged(self, problem: str) -> UserError:
        return UserError(f"{self.path}: damaged LMDB file, {problem}")
