"""Annotation files that are one JSON document, read with complaints that name the record."""

import re
from pathlib import Path
from typing import TypeVar

import msgspec

from storage.gzip_files import MOST_BYTES
from storage.json_files import read_bytes
from storage.messages import shortened

Document = TypeVar("Document")

# Of what msgspec says of `$.questions[3].image_id`: list, record and field.
_PLACE = re.compile(r" - at `\$\.(\w+)\[(\d+)\]\.?([^`]*)`$")
_NAMES = ("question_id", "cocoid", "imgid", "image_id", "id")


class AnnotationError(ValueError):
    """An annotation file is wrong; the message names file, record, problem and remedy."""

    def __init__(self, path: Path, record: str, problem: str, remedy: str) -> None:
        super().__init__(
            ": ".join(part for part in (str(path), record, shortened(problem, 400)) if part)
            + f"; {remedy}"
        )


def read_document(path: Path, kind: type[Document], remedy: str) -> Document:
    """Read a file that is one JSON document.

    Args:
        path: The file.
        kind: What the document is, for `msgspec`; fields that it does not name are skipped.
        remedy: How to get a sound file, for the error.

    Raises:
        OSError: The file cannot be opened.
        AnnotationError: It is damaged; names file, record, field and remedy.
    """
    raw = read_bytes(path, remedy, MOST_BYTES)
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        record, problem = _explain(raw, str(error))
        raise AnnotationError(path, record, problem, remedy) from None
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, "", f"not valid JSON ({error})", remedy) from None


def read_table(path: Path, kind: type[Document], remedy: str) -> dict[str, Document]:
    """Read a file that is one JSON object with a record under each id.

    Args and errors are those of `read_document`; `kind` is that of the records.
    """
    raw = read_bytes(path, remedy, MOST_BYTES)
    try:
        return msgspec.json.decode(raw, type=dict[str, kind])
    except msgspec.ValidationError as error:
        _blame(path, raw, kind, remedy)
        # A record that comes again under the same id hides the damaged one.
        raise AnnotationError(path, "", str(error).replace("`", ""), remedy) from None
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, "", f"not valid JSON ({error})", remedy) from None


def _blame(path: Path, raw: bytes, kind: type, remedy: str) -> None:
    """Complain of the first record of a table that does not have the wanted form."""
    try:
        records = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, "", str(error).replace("`", ""), remedy) from None
    for name, record in records.items():
        try:
            msgspec.json.decode(record, type=kind)
        except (ValueError, RecursionError) as error:
            problem = str(error).replace("`", "")
            raise AnnotationError(path, f"record {shortened(name)}", problem, remedy) from None


def _explain(raw: bytes, error: str) -> tuple[str, str]:
    """Record and problem of a document that does not have the wanted form."""
    match = _PLACE.search(error)
    if not match:
        return "", error.replace("`", "")
    listed, number, field = match.groups()
    record = f"record {number} of '{listed}'"
    record += _named(raw, listed, int(number))
    problem = error[: match.start()].replace("`", "")
    problem = problem[0].lower() + problem[1:]
    return record, f"field '{field}': {problem}" if field else problem


def _named(raw: bytes, listed: str, number: int) -> str:
    """What identifies a record of a list, as in " (question_id 7)"; "" where nothing does."""
    try:
        # The rest of the document may be damaged, too.
        content = msgspec.json.decode(raw)[listed][number]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    names = _NAMES if isinstance(content, dict) else ()
    found = next((name for name in names if name in content), None)
    return f" ({found} {shortened(content[found])})" if found else ""
