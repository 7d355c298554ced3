"""Checksums of downloaded files, recorded when each file is first checked."""

import json
from pathlib import Path

from clipnav.storage import file_sha256, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import sole_maker

MANIFEST = "checksums.json"
_REMEDY = "delete it; the checksums of present files are then recorded again"


class Checksums:
    """SHA-256 of the files below a folder, stored in its `checksums.json`.

    If the publisher of a file gives no checksum, the first download cannot be checked, but later
    changes of the file are detected.

    Attributes:
        path: The manifest.
    """

    def __init__(self, folder: Path) -> None:
        """Read the manifest of a folder, if there is one.

        Raises:
            UserError: The manifest is damaged.
        """
        self.path = folder / MANIFEST
        self._entries = _read(self.path)

    def recorded(self, name: str) -> str | None:
        """Return the recorded SHA-256 of a file; None if there is none.

        Args:
            name: Path of the file, relative to the folder.
        """
        return self._entries[name]["sha256"] if name in self._entries else None

    def record(self, name: str, sha256: str, url: str) -> None:
        """Add a file to the manifest, and write the manifest."""
        with sole_maker(self.path):
            # Another process may have added files since this one read the manifest.
            self._entries = {**_read(self.path), name: {"sha256": sha256, "url": url}}
            write_text(self.path, json.dumps(self._entries, indent=1, sort_keys=True) + "\n")

    def check(self, name: str, known: str | None, url: str) -> str:
        """Check a file of the folder, and record its SHA-256 if there is no record.

        Args:
            name: Path of the file, relative to the folder.
            known: Expected SHA-256, if its publisher or this project gives one.
            url: Source of the file.

        Returns:
            SHA-256 of the file.

        Raises:
            UserError: The SHA-256 is not the expected or the recorded one.
        """
        file = self.path.parent / name
        digest = file_sha256(file)
        expected = known or self.recorded(name)
        if expected is not None and digest != expected:
            source = "was expected" if known else f"is recorded in {self.path}"
            raise UserError(
                f"{file}: its SHA-256 is {digest}, but {expected} {source}; move it away to "
                "download it again"
                f"{'' if known else f', or delete its entry in {self.path} to keep it'}"
            )
        if self.recorded(name) != digest:
            self.record(name, digest, url)
        return digest


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Return the entries of a manifest by name of the file; none if there is no manifest."""
    if not path.is_file():
        return {}
    try:
        return {
            name: {key: str(entry[key]) for key in ("sha256", "url")}
            for name, entry in read_json(path, _REMEDY).items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a list of checksums; {_REMEDY}") from error
