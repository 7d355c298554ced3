"""Checksums of downloaded files as they were first seen, in a file beside them."""

import json
from pathlib import Path

from storage import file_sha256, write_text
from storage.json_files import read_json

MANIFEST = "checksums.json"
_REMEDY = "delete it, and the files that are there count as seen for the first time"


class Checksums:
    """SHA-256 of the files below a folder, kept in its `checksums.json`.

    A file whose publisher gives no checksum cannot be checked when it first comes, but whether it
    is still the same file can be.

    Attributes:
        path: The manifest.
    """

    def __init__(self, folder: Path) -> None:
        """Read the manifest of a folder, if there is one.

        Raises:
            ValueError: It is damaged.
        """
        self.path = folder / MANIFEST
        self._entries: dict[str, dict[str, str]] = {}
        if self.path.is_file():
            try:
                entries = read_json(self.path, _REMEDY)
                self._entries = {
                    name: {key: str(entry[key]) for key in ("sha256", "url")}
                    for name, entry in entries.items()
                }
            except (AttributeError, KeyError, TypeError) as error:
                raise ValueError(f"{self.path}: not a list of checksums; {_REMEDY}") from error

    def seen(self, name: str) -> str | None:
        """SHA-256 that a file had when it was first seen, by its name below the folder."""
        return self._entries[name]["sha256"] if name in self._entries else None

    def record(self, name: str, sha256: str, url: str) -> None:
        """Note a file that is seen for the first time, and write the manifest."""
        self._entries[name] = {"sha256": sha256, "url": url}
        write_text(self.path, json.dumps(self._entries, indent=1, sort_keys=True) + "\n")

    def check(self, name: str, known: str | None, url: str) -> str:
        """Check a file that lies in the folder, and note it if it is new.

        Args:
            name: Of the file, below the folder.
            known: What its SHA-256 must be, if its publisher or this project says.
            url: Where it comes from.

        Returns:
            Its SHA-256.

        Raises:
            ValueError: It is another file than it was, or than it must be.
        """
        file = self.path.parent / name
        found = file_sha256(file)
        expected = known or self.seen(name)
        if expected is not None and found != expected:
            source = "it must have" if known else f"{self.path} has seen"
            raise ValueError(
                f"{file}: its SHA-256 is {found}, but {source} {expected}; move it away to fetch "
                f"it again{'' if known else f', or delete its entry in {self.path} to keep it'}"
            )
        if self.seen(name) != found:
            self.record(name, found, url)
        return found
