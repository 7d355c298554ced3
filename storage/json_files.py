"""Read one small JSON document strictly, with limits on size and depth.

Python's parser accepts input that other parsers refuse or read differently: NaN and infinities,
duplicate keys, integers of thousands of digits, numbers that overflow to infinity, halves of
surrogate pairs, and nesting up to its recursion limit. Here all of these are errors. Data sets
(arrays of records and JSON Lines) are read by `clipnav.storage.records`.
"""

import gzip
import json
import math
import os
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from clipnav.storage import write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.gzip_files import DAMAGE as GZIP_DAMAGE
from clipnav.storage.gzip_files import open_maybe_packed

MOST_BYTES = 1 << 28
MOST_DEPTH = 64
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # an escape, such as \ud83d in \ud83d\ude00
_MOST_DIGITS = 20  # of a 64-bit integer with its sign


def read_json(path: str | Path, hint: str, kind: Any = Any, allow_nan: bool = False) -> Any:
    """Read a file that is one JSON document."""
    return convert_json(read_bytes(path, hint), path, hint, kind, allow_nan)


def convert_json(
    raw: bytes, path: str | Path, hint: str, kind: Any = Any, allow_nan: bool = False
) -> Any:
    """Return the JSON document that a file contains, as a value of a type."""
    document = parse_json(raw, str(path), hint, allow_nan)
    try:
        return document if kind is Any else msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {describe_problem(error)}; {hint}") from error


def read_json_object(path: str | Path, hint: str) -> dict[str, Any]:
    """Read a file of another library that is one JSON object; numbers of any size are accepted.

    For example, transformers writes a `model_max_length` of 31 digits.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: missing; {hint}")
    document = parse_json(read_bytes(path, hint), str(path), hint, any_number=True)
    if not isinstance(document, dict):
        raise UserError(f"{path}: not a JSON object; {hint}")
    return document


def describe_problem(error: BaseException) -> str:
    """Describe the problem of a document, with the field that msgspec names (`$.path[1]`)."""
    if isinstance(error, GZIP_DAMAGE):
        return f"the compressed data is damaged ({error})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, msgspec.ValidationError):
        return f"not valid JSON ({error})"
    problem, _, path = str(error).partition(" - at `$")
    parent = path.rstrip("`").lstrip(".")
    if problem.startswith("Object missing required field"):
        field = problem.split("`")[1]
        return f"field '{f'{parent}.{field}' if parent else field}' is missing"
    problem = problem[0].lower() + problem[1:].replace("`", "")
    return f"field '{parent}': {problem}" if parent else problem


def decode_part(raw: bytes | msgspec.Raw, kind: Any, place: str, hint: str) -> Any:
    """Decode a part of a JSON document, which errors name as `place`: its file and where in it."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise UserError(f"{place}: {error}; {hint}") from error
    except RecursionError as error:
        raise UserError(f"{place}: {describe_problem(error)}; {hint}") from error


def parse_toml(raw: bytes | str, source: str | Path, kind: Any, hint: str) -> Any:
    """Parse a TOML document as a value of a type."""
    try:
        return msgspec.toml.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = describe_problem(error) if isinstance(error, RecursionError) else error
        raise UserError(f"{source}: not a valid TOML file ({problem}); {hint}") from error


def write_json(path: str | Path, document: Any) -> None:
    """Write a document in one line, atomically."""
    write_text(path, json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n")


def read_bytes(path: str | Path, hint: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a file of at most `most_bytes`."""
    with Path(path).open("rb") as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise UserError(
                f"{path}: larger than {most_bytes:,} bytes, the limit for such a file; {hint}"
            )
        return file.read()


def read_packed(path: Path, hint: str) -> bytes:
    """Return the content of a file of at most `MOST_BYTES`, decompressed if it is gzip."""
    try:
        with open_maybe_packed(path, MOST_BYTES) as file:
            return file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: {describe_problem(error)}; {hint}") from error


def parse_json(
    raw: bytes | str,
    source: str,
    hint: str,
    allow_nan: bool = False,
    any_number: bool = False,
) -> Any:
    """Parse a JSON document.

    Args:
        raw: The text; bytes are decoded as UTF-8, with or without a byte order mark.
    """
    try:
        text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
        document = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=int if any_number else _integer,
            parse_float=float if any_number else _number,
            parse_constant=float if allow_nan or any_number else _number,
        )
        if _SURROGATE.search(text):
            # Halves of pairs fail here; only the names of files have those of "surrogateescape".
            json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except RecursionError:
        problem = f"nested deeper than {MOST_DEPTH} levels"
    except ValueError as error:
        problem = str(error)
    else:
        if _depth_is_bounded(document):
            return document
        problem = f"nested deeper than {MOST_DEPTH} levels"
    raise UserError(f"{source}: not valid JSON ({problem}); {hint}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        name, count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise UserError(f"key {truncate(name)!r} occurs {count} times in one object")
    return values


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise UserError(f"an integer of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if text.endswith(("NaN", "Infinity")):
        raise UserError(f"{text} is not a JSON number")
    if math.isinf(value):
        raise UserError(f"the number {truncate(text)} is out of range")
    return value


def _depth_is_bounded(document: Any) -> bool:
    """Return whether lists and objects are nested at most `MOST_DEPTH` levels deep."""
    level = [document]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, list | dict)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, list | dict)
        ]
        if not level:
            return True
    return False
