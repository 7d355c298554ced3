"""JSON files that hold one object, read with one clear complaint where they are damaged."""

import json
from pathlib import Path
from typing import Any


def read_json_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.
        remedy: How to get a sound file, for the error.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold a JSON object; names the file and the remedy.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing; {remedy}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply for JSON of its kind; {remedy}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); {remedy}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: not a JSON object; {remedy}")
    return found
