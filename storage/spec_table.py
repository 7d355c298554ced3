"""Tables of rows by name, to which installed packages add rows by entry points.

A module is selected by a command line or by an installed package, never by a file: `SpecTable.row`,
which takes the names in files, imports entry points only, and `SpecTable.load` takes the text of a
command line, but not words that a settings file has added to it.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, ClassVar, Generic, TypeVar

from clipnav.storage.errors import UnknownNameError, UserError, in_one_line, truncate

API = 1
"""Version of the rows and of what their parts must do."""
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_NAME_RULE = "a name consists of letters, digits, _, - and .; give the row another name"
_ROW = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")
# Between a name of code and what else one word contains: PART=NAME, NAME@RUN, "--agent NAME ...".
_SEPARATORS = re.compile(r"[\s=@'\"]+")
_LOG = logging.getLogger(__name__)

Class = TypeVar("Class")
# The words that a user typed; None in a program that calls clipnav.
_TYPED: ContextVar[Sequence[str] | None] = ContextVar("typed", default=None)


@dataclass(frozen=True)
class Spec:
    """A row: a name, and parts as "module:name", which nothing imports before they are used.

    Attributes:
        name: Name in settings and on command lines: letters, digits, "_", "-" and ".".
        api: Version of clipnav's rows for which another package was written.
        source: The row itself as "package.module:ROW" if another package has it.
    """

    name: str
    api: int = field(default=1, kw_only=True)
    source: str | None = field(default=None, kw_only=True, compare=False)

    def part(self, name: str) -> Any:
        """Import and return a part of the row, by the name of its attribute."""
        text = getattr(self, name)
        if self.source is None:
            return resolve_name(text)
        with _importing(f"{self.source}: its part {name}, {text}"):
            return resolve_name(text)

    def subclass(self, name: str, base: type[Class]) -> type[Class]:
        """Import and return a part that must be a subclass."""
        found = self.part(name)
        if isinstance(found, type) and issubclass(found, base):
            return found
        raise self._broken(name, f"is no subclass of {base.__name__}")

    def call(self, name: str, *arguments: Any, kind: type = object) -> Any:
        """Import and call a part, and return its result, which must be of a type."""
        function = self.part(name)
        with self.running(name):
            result = function(*arguments)
        if isinstance(result, kind):
            return result
        raise self._broken(name, f"returns a {type(result).__name__}, not a {kind.__name__}")

    def _broken(self, name: str, problem: str) -> "BrokenRowError":
        part = f"its part {name}, {getattr(self, name)}"
        return BrokenRowError(
            f"{self.source or self.name}: {part}, {problem}; repair or uninstall the package"
        )

    @contextmanager
    def running(self, part: str) -> Iterator[None]:
        """Name the row of another package in the traceback of its errors."""
        try:
            yield
        except Exception as error:
            if self.source is not None and not isinstance(error, UserError):
                error.add_note(f"This is an error in {part} of {self.source}, not of clipnav.")
            raise


Row = TypeVar("Row", bound=Spec)


class BrokenRowError(UserError):
    """Another package has a row that cannot be imported or used."""


def is_row(text: str) -> bool:
    """Return whether a text has the form package.module:ROW."""
    return _ROW.fullmatch(text) is not None


class SpecTable(Generic[Row]):
    """Rows by name: those of clipnav, those of this process and those of installed packages."""

    _tables: ClassVar[dict[type[Spec], "SpecTable[Any]"]] = {}

    def __init__(self, kind: str, group: str, rows: Sequence[Row]) -> None:
        self.kind, self.group = kind, group
        self._type = type(rows[0])
        self._own = {row.name: row for row in rows}
        self._rows = dict(self._own)
        self._warned: set[str] = set()
        self._imports = True  # until all rows of packages have been
        self._tables[self._type] = self

    def add(self, row: Row) -> None:
        """Add a row in this process, or replace one that was added."""
        if self._own.get(row.name, row) != row:
            raise UserError(
                f"the {self.kind} {row.name!r} exists already; give the row another name"
            )
        if not _NAME.fullmatch(row.name):
            raise BrokenRowError(f"the {self.kind} {row.name!r}: {_NAME_RULE}")
        if row.api != API:
            raise BrokenRowError(
                f"the {self.kind} {row.name!r}: is for version {row.api} of clipnav's rows, but "
                f"this clipnav has version {API}; install matching versions of both packages"
            )
        self._rows[row.name] = row

    def row(self, name: str) -> Row:
        """Return a row by its name, which a file may contain."""
        if name in self._rows:
            return self._rows[name]
        found = [*{one.value: one for one in entry_points(group=self.group, name=name)}.values()]
        if not found:
            raise UnknownNameError(
                f"{truncate(name)}: no such {self.kind}; choose one of {', '.join(self.names())}, "
                f"or install the package that adds it (an entry point of {self.group})"
            )
        what = " and ".join(map(self._described, found))
        if not _NAME.fullmatch(name):
            raise BrokenRowError(f"{what}: {_NAME_RULE}")
        if len(found) > 1:
            raise BrokenRowError(f"{what} have one name; uninstall all but one of the packages")
        with _importing(what):
            row = found[0].load()
        return self._added(row, found[0].value, what, name)

    def known(self, name: str) -> Row | None:
        """Return a row if that imports no package."""
        return self._rows.get(name)

    def load(self, text: str) -> Row:
        """Import, add and return the row that a command line names as package.module:ROW."""
        return self._added(named_object(text), text, text)

    def names(self) -> list[str]:
        """Return all names, those of installed packages last. No package is imported."""
        added = (entry.name for entry in entry_points(group=self.group))
        return list(dict.fromkeys([*self._rows, *filter(_NAME.fullmatch, added)]))

    def rows(self) -> Iterator[Row]:
        """Yield all rows, imported when they are reached; warn once of a broken one."""
        for name in self.names() if self._imports else list(self._rows):
            with self._warning(name):
                yield self.row(name)
        self._imports = False

    def parts(self, part: str) -> Iterator[Any]:
        """Yield a part of each row, imported when it is reached; warn once of a broken one."""
        for row in self.rows():
            with self._warning(row.name):
                yield row.part(part)

    @contextmanager
    def _warning(self, name: str) -> Iterator[None]:
        try:
            yield
        except BrokenRowError as error:
            if name not in self._warned:
                self._warned.add(name)
                _LOG.warning("%s", error)

    @classmethod
    def added_rows(cls) -> list[Spec]:
        """Return the rows of all tables that are not clipnav's, for another process."""
        tables = cls._tables.values()
        return [r for table in tables for r in table._rows.values() if r.name not in table._own]

    @classmethod
    def restore_rows(cls, rows: Iterable[Spec]) -> None:
        """Add the rows that another process had added."""
        for row in rows:
            next(t for t in cls._tables.values() if isinstance(row, t._type)).add(row)

    def _described(self, entry: EntryPoint) -> str:
        package = f" of the package {entry.dist.name}" if entry.dist else ""
        return f"the entry point '{entry.name} = {entry.value}' of {self.group}{package}"

    def _added(self, row: object, source: str, what: str, name: str | None = None) -> Row:
        """Add and return a row of another package."""
        if not isinstance(row, self._type):
            raise BrokenRowError(
                f"{what}: is a {type(row).__name__}, not of type {self._type.__name__}; correct "
                "the name"
            )
        if name not in (None, row.name):
            raise BrokenRowError(f"{what}: the name of its row is {row.name!r}; make them equal")
        row = replace(row, source=source)
        try:
            self.add(row)
        except UserError as error:
            raise BrokenRowError(f"{what}: {error}") from error
        return row


@contextmanager
def code_named_in(words: Sequence[str]) -> Iterator[None]:
    """Refuse to import what does not occur in the words of a command line."""
    token = _TYPED.set(words)
    try:
        yield
    finally:
        _TYPED.reset(token)


def named_object(text: str) -> Any:
    """Import and return what a command line names as package.module:NAME.

    Raises:
        UserError: It cannot be imported, or was named by a settings file.
    """
    typed = _TYPED.get()
    if typed is not None and all(text not in _SEPARATORS.split(word) for word in typed):
        raise UserError(
            f"{text}: names a module of Python, which a file must not select; write it on the "
            "command line"
        )
    with _importing(text):
        return resolve_name(text)


@contextmanager
def _importing(what: str) -> Iterator[None]:
    """Name a package whose import fails."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise BrokenRowError(
            f"{what}: cannot be imported ({in_one_line(error)}); correct the name, or repair or "
            "uninstall the package"
        ) from error
