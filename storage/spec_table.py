"""Tables of rows by name, to which installed packages add rows by entry points."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

from clipnav.storage.errors import UnknownNameError, UserError


@dataclass(frozen=True)
class Spec:
    """A row: a name, and parts as "module:name", which nothing imports before they are used."""

    name: str

    def part(self, name: str) -> Any:
        """Import and return a part of the row, by the name of its attribute."""
        return resolve_name(getattr(self, name))


Row = TypeVar("Row", bound=Spec)


class SpecTable(Generic[Row]):
    """Rows by name: those of clipnav, those of this process and those of installed packages."""

    def __init__(self, kind: str, group: str, rows: Sequence[Row]) -> None:
        self.kind, self.group = kind, group
        self._type = type(rows[0])
        self._own = {row.name: row for row in rows}
        self._rows = dict(self._own)

    def add(self, row: Row) -> None:
        """Add a row in this process, or replace one that was added."""
        if self._own.get(row.name, row) != row:
            raise UserError(
                f"the {self.kind} {row.name!r} exists already; give the row another name"
            )
        self._rows[row.name] = row

    def row(self, name: str) -> Row:
        """Return a row by its name."""
        if name in self._rows:
            return self._rows[name]
        found = entry_points(group=self.group, name=name)
        if not found:
            raise UnknownNameError(
                f"{name}: no such {self.kind}; choose one of {', '.join(self.names())}, or install "
                f"the package that adds it (an entry point of {self.group})"
            )
        (entry,) = found
        return self._checked(entry.load(), f"the entry point {name} of {self.group}")

    def known(self, name: str) -> Row | None:
        """Return a row if that imports no package."""
        return self._rows.get(name)

    def load(self, name: str) -> Row:
        """Import, add and return a row named "package.module:SPEC", which no file may choose."""
        try:
            return self._checked(resolve_name(name), name)
        except AttributeError as error:
            raise UserError(f"{name}: {error}; name a row as package.module:SPEC") from error

    def names(self) -> list[str]:
        """Return all names, those of installed packages last. No package is imported."""
        added = (entry.name for entry in entry_points(group=self.group))
        return list(dict.fromkeys([*self._rows, *added]))

    def _checked(self, row: object, source: str) -> Row:
        if not isinstance(row, self._type):
            raise UserError(
                f"{source}: is a {type(row).__name__}, not of type {self._type.__name__}; correct "
                "the name"
            )
        self.add(row)
        return row
