"""Strict reading of small JSON documents: bounded in size and depth, and free of ambiguity.

Python's parser takes what other parsers refuse or read differently: NaN and infinities, a key that
occurs twice, integers of thousands of digits, numbers that overflow to infinity, and nesting up to
its recursion limit. None of these is ever meant in a file that clipnav reads. Arrays of records and
JSON Lines are read by `storage.records`.
"""

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

MOST_BYTES = 1 << 28
MOST_DEPTH = 64
_MOST_DIGITS = 20  # of an integer of 64 bits, with its sign


def read_json(path: str | Path, remedy: str, allow_nan: bool = False) -> Any:
    """Read a file that is one JSON document.

    Args:
        path: The file.
        remedy: How to get a sound file, for the error.
        allow_nan: As for `parse_json`.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is larger than `MOST_BYTES`, or no strict JSON; the message names file,
            problem and remedy.
    """
    return parse_json(read_bytes(path, remedy), str(path), remedy, allow_nan)


def read_json_object(path: str | Path, remedy: str) -> dict[str, Any]:
    """Read a file of another library that is one JSON object, with whatever numbers it holds.

    transformers, for one, writes a `model_max_length` of 31 digits.

    Raises:
        FileNotFoundError: There is no such file; the message names the remedy.
        ValueError: It is not JSON, or not an object; the message names file and remedy.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: missing; {remedy}")
    document = parse_json(read_bytes(path, remedy), str(path), remedy, any_number=True)
    if not isinstance(document, dict):
        raise ValueError(f"{path}: not a JSON object; {remedy}")
    return document


def read_bytes(path: str | Path, remedy: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Content of a file that is not larger than expected.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is larger; the message names file, limit and remedy.
    """
    with Path(path).open("rb") as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise ValueError(
                f"{path}: larger than {most_bytes:,} bytes, the most that is read of such a file; "
                f"{remedy}"
            )
        return file.read()


def parse_json(
    raw: bytes | str,
    source: str,
    remedy: str,
    allow_nan: bool = False,
    any_number: bool = False,
) -> Any:
    """Parse a JSON document.

    Args:
        raw: The text, in UTF-8 if bytes.
        source: Where it stands, for the error: a file, or a part of one.
        remedy: How to get a sound one, for the error.
        allow_nan: Accept NaN, Infinity and -Infinity, as `json.dumps` writes them.
        any_number: Accept these and numbers of any size.

    Raises:
        ValueError: The text is no strict JSON; the message names source, problem and remedy.
    """
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        document = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=int if any_number else _integer,
            parse_float=float if any_number else _number,
            parse_constant=float if allow_nan or any_number else _refuse_constant,
        )
    except RecursionError:
        problem = f"nested deeper than {MOST_DEPTH} levels"
    except ValueError as error:
        problem = str(error)
    else:
        if _depth_is_bounded(document):
            return document
        problem = f"nested deeper than {MOST_DEPTH} levels"
    raise ValueError(f"{source}: not valid JSON ({problem}); {remedy}")


def shortened(value: object, most: int = 80) -> str:
    """A value from a file in one line of bounded length, to be quoted in a message."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name, count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"key {shortened(name)!r} occurs {count} times in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {shortened(text)} is out of range")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _depth_is_bounded(document: Any) -> bool:
    """Whether no list or object lies more than `MOST_DEPTH` levels deep."""
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
