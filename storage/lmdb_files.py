"""Reading LMDB files without mapping them into memory.

The LMDB library trusts its files: a damaged or truncated one can end the process (SIGBUS). Here the
B+ tree is walked in Python, and every page number and offset is checked against the size of the
file, so that damage becomes an error. Only what files of features need is read: keys and values of
the main database.

Structures and constants follow `mdb.c` of LMDB 0.9 (MDB_meta, MDB_db, MDB_page, MDB_node) on
machines of 64 bits, little-endian.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_PAGE = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
_OVERFLOW_PAGE = struct.Struct("<QHHI")  # number, pad, flags, count of pages
# Magic, version, address, map size; pad, flags, depth, 3 counts of pages, entries and root of the
# free and of the main database; last page, transaction.
_META = struct.Struct("<IIQQ IHHQQQQQ IHHQQQQQ QQ")
_NODE = struct.Struct("<HHHH")  # low and high half of the size, flags, size of the key
_NUMBER = struct.Struct("<Q")
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_NO_PAGE = (1 << 64) - 1
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 0x01, 0x02, 0x04, 0x08
_KINDS = 0x6F  # all kinds of pages: those above, P_LEAF2 and P_SUBP
_BIG_DATA, _NESTED_DATA = 0x01, 0x06  # flags of nodes: F_BIGDATA, F_SUBDATA and F_DUPDATA
_PAGE_SIZES = tuple(1 << power for power in range(9, 17))
_MOST_DEPTH = 32  # CURSOR_STACK


class _Meta(NamedTuple):
    """What a meta page says of the main database."""

    page_size: int
    flags: int
    root: int
    last_page: int
    transaction: int


class _Place(NamedTuple):
    """Where a value lies; behind the header of an overflow page, if `page` is the number of one."""

    offset: int
    size: int
    page: int | None


class LmdbFile:
    """Keys and values of the main database of an LMDB file. Close it, or use it in `with`.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Read and check the tree of keys; values are read when they are asked for.

        Args:
            path: The file, or the folder that holds it as `data.mdb`.

        Raises:
            OSError: The file cannot be opened.
            ValueError: The file is damaged, cut short, or no LMDB file of the supported kind.
        """
        self.path = path / "data.mdb" if path.is_dir() else path
        self._file: BinaryIO = self.path.open("rb", buffering=0)
        try:
            self._size = self._file.seek(0, 2)
            self._meta = self._newest_meta()
            self._places: dict[bytes, _Place] = {}
            for key, place in self._walk():
                if key in self._places:
                    raise self._damaged(f"key {key!r:.80} occurs twice")
                self._places[key] = place
        except BaseException:
            self._file.close()
            raise

    def keys(self) -> list[bytes]:
        """Keys in the order of the file."""
        return list(self._places)

    def get(self, key: bytes) -> bytes | None:
        """Value of a key, None if there is none.

        Raises:
            ValueError: The value is damaged.
        """
        place = self._places.get(key)
        if place is None:
            return None
        offset, size, page = place
        if page is None:
            return self._read(offset, size)
        raw = self._read(offset, _OVERFLOW_PAGE.size + size)
        number, _, flags, count = _OVERFLOW_PAGE.unpack_from(raw)
        own = number == page and flags & _KINDS == _OVERFLOW
        if not own or len(raw) > count * self._meta.page_size:
            raise self._damaged(f"page {page} does not hold the value of {key!r:.80}")
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
            raise ValueError(f"{self.path}: LMDB files with several values of a key are not read")
        return meta

    def _meta_at(self, offset: int) -> _Meta:
        if self._size < offset + _PAGE.size + _META.size:
            raise ValueError(f"{self.path}: no LMDB file, or cut short")
        raw = self._read(offset, _PAGE.size + _META.size)
        flags = _PAGE.unpack_from(raw)[2]
        magic, version, _, _, page_size, *rest = _META.unpack_from(raw, _PAGE.size)
        if magic != _MAGIC or flags & _KINDS != _META_PAGE:
            raise ValueError(f"{self.path}: no LMDB file, or damaged at byte {offset}")
        if version != _VERSION or page_size not in _PAGE_SIZES:
            raise ValueError(
                f"{self.path}: LMDB file of version {version} with pages of {page_size} bytes, but "
                f"version {_VERSION} is read, with pages of {_PAGE_SIZES[0]} to {_PAGE_SIZES[-1]}"
            )
        # Of `rest`, the free database takes 7, and the main one begins with another pad.
        return _Meta(page_size, rest[8], rest[14], *rest[15:])

    def _walk(self) -> Iterator[tuple[bytes, _Place]]:
        """Keys and the places of their values, in order."""
        if self._meta.root == _NO_PAGE:
            return
        budget = min(self._meta.last_page + 1, self._size // self._meta.page_size)
        seen: set[int] = set()
        path = [iter([self._meta.root])]
        while path:
            number = next(path[-1], None)
            if number is None:
                path.pop()
                continue
            if number in seen or len(path) > _MOST_DEPTH:
                raise self._damaged(f"page {number} is reached twice")
            seen.add(number)
            page = self._page(number)
            if _PAGE.unpack_from(page)[2] & _KINDS == _BRANCH:
                path.append(iter(list(self._children(page, number))))
                continue
            for key, place in self._leaves(page, number):
                if place.page is not None:
                    pages = -(-(_OVERFLOW_PAGE.size + place.size) // self._meta.page_size)
                    budget -= pages
                if budget < 0:
                    raise self._damaged("several values lie in the same place")
                yield key, place

    def _page(self, number: int) -> bytes:
        """A page of nodes."""
        page = self._read(self._offset(number), self._meta.page_size)
        own_number, _, flags, lower, upper = _PAGE.unpack_from(page)
        sound = _PAGE.size <= lower <= upper <= len(page) and lower % 2 == 0
        if own_number != number or flags & _KINDS not in (_BRANCH, _LEAF) or not sound:
            raise self._damaged(f"page {number} is neither a branch nor a leaf of its tree")
        return page

    def _nodes(self, page: bytes, number: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Low and high half of the size, flags, and begin and end of the key of each node."""
        lower, upper = _PAGE.unpack_from(page)[3:]
        for (start,) in struct.iter_unpack("<H", page[_PAGE.size : lower]):
            if not upper <= start <= len(page) - _NODE.size:
                raise self._damaged(f"a node of page {number} lies outside of it")
            low, high, flags, key_size = _NODE.unpack_from(page, start)
            end = start + _NODE.size + key_size
            if end > len(page):
                raise self._damaged(f"a key of page {number} is longer than the page")
            yield low, high, flags, start + _NODE.size, end

    def _children(self, page: bytes, number: int) -> Iterator[int]:
        for low, high, flags, _, _ in self._nodes(page, number):
            yield low | high << 16 | flags << 32  # the flags of branches are bits of the number

    def _leaves(self, page: bytes, number: int) -> Iterator[tuple[bytes, _Place]]:
        for low, high, flags, start, end in self._nodes(page, number):
            size = low | high << 16
            if flags & _NESTED_DATA:
                raise ValueError(f"{self.path}: LMDB files with named databases are not read")
            if flags & _BIG_DATA:
                if end + _NUMBER.size > len(page):
                    raise self._damaged(f"a node of page {number} is longer than the page")
                overflow = _NUMBER.unpack_from(page, end)[0]
                place = _Place(self._offset(overflow), size, overflow)
            else:
                if end + size > len(page):
                    raise self._damaged(f"a value of page {number} is longer than the page")
                place = _Place(self._offset(number) + end, size, None)
            yield page[start:end], place

    def _offset(self, number: int) -> int:
        offset = number * self._meta.page_size
        if number > self._meta.last_page:
            raise self._damaged(f"it refers to page {number}, but has {self._meta.last_page + 1}")
        if offset >= self._size:
            raise ValueError(
                f"{self.path}: cut short, {self._size:,} bytes, but there is data at {offset:,}"
            )
        return offset

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise ValueError(
                f"{self.path}: cut short, {self._size:,} bytes of at least {offset + size:,}"
            )
        self._file.seek(offset)
        raw = self._file.read(size)
        while len(raw) < size:
            more = self._file.read(size - len(raw))
            if not more:
                raise ValueError(f"{self.path}: it is being cut short while it is read")
            raw += more
        return raw

    def _damaged(self, problem: str) -> ValueError:
        return ValueError(f"{self.path}: damaged LMDB file, {problem}")
