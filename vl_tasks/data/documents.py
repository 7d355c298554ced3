"""Reader of annotation files with one JSON document, whose errors name the record."""

import re
from codecs import BOM_UTF8
from contextlib import suppress
from pathlib import Path
from types import GenericAlias
from typing import TypeVar

import msgspec

from clipnav.storage.errors import UserError, truncate
from clipnav.storage.gzip_files import MOST_BYTES
from clipnav.storage.json_files import read_bytes

Document = TypeVar("Document")

# List, record and field of an error of msgspec, as in `$.questions[3].image_id`.
_LOCATION = re.compile(r" - at `\$\.(\w+)\[(\d+)\]\.?([^`]*)`$")
_NAMES = ("question_id", "cocoid", "imgid", "image_id", "id")


class AnnotationError(UserError):
    """Error in an annotation file; the message contains file, record, problem and remedy."""

    def __init__(self, path: Path, record: str, problem: str, hint: str) -> None:
        super().__init__(
            ": ".join(part for part in (str(path), record, truncate(problem, 400)) if part)
            + f"; {hint}"
        )


def read_document(path: Path, kind: type[Document], hint: str) -> Document:
    """Read a file that consists of one JSON document."""
    raw = _read(path, hint)
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        record, problem = _explain(raw, str(error))
        raise AnnotationError(path, record, problem, hint) from None
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, "", f"not valid JSON ({error})", hint) from None


def read_table(path: Path, kind: type[Document], hint: str) -> dict[str, Document]:
    """Read a file that consists of one JSON object with records by id.

    Arguments and errors are as for `read_document`; `kind` is the type of a record.
    """
    raw = _read(path, hint)
    try:
        # dict[str, kind] would be an annotation with a variable for type checkers.
        return msgspec.json.decode(raw, type=GenericAlias(dict, (str, kind)))
    except msgspec.ValidationError as error:
        _raise_for_record(path, raw, kind, hint)
        # With a repeated id, a later valid record hides the invalid one.
        raise AnnotationError(path, "", str(error).replace("`", ""), hint) from None
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, "", f"not valid JSON ({error})", hint) from None


def _read(path: Path, hint: str) -> bytes:
    return read_bytes(path, hint, MOST_BYTES).removeprefix(BOM_UTF8)


def _raise_for_record(path: Path, raw: bytes, kind: type, hint: str) -> None:
    """Raise an error for the first record of a table that does not have the type `kind`."""
    try:
        records = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, "", str(error).replace("`", ""), hint) from None
    for name, record in records.items():
        try:
            msgspec.json.decode(record, type=kind)
        except (ValueError, RecursionError) as error:
            problem = str(error).replace("`", "")
            raise AnnotationError(path, f"record {truncate(name)}", problem, hint) from None


def _explain(raw: bytes, error: str) -> tuple[str, str]:
    """Return the record and the problem of an error of msgspec."""
    match = _LOCATION.search(error)
    if not match:
        return "", error.replace("`", "")
    list_name, number, field = match.groups()
    record = f"record {number} of '{list_name}'"
    with suppress(ValueError, RecursionError, LookupError, TypeError):
        # The rest of the document may be damaged, too.
        content = msgspec.json.decode(raw)[list_name][int(number)]
        name = next((name for name in _NAMES if name in content), None)
        record += f" ({name} {truncate(content[name])})" if name else ""
    problem = error[: match.start()].replace("`", "")
    problem = problem[0].lower() + problem[1:]
    return record, f"field '{field}': {problem}" if field else problem
