"""Default and published settings of trainings, read from TOML files."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from clipnav.training.settings import Config, build_settings


def read_presets(start: Config, file: Path, section: str, **facts: Any) -> Config:
    """Return settings with the values that a file has for them.

    The tables of a section are applied in order, so that later ones override earlier ones. A table
    with `when` applies only if each of its names has the given value, or one of the given list;
    the names are those of settings, with their values in `start`, and those of `facts`. Keys are
    the names of settings as in config.json; "None" stands for no value, as on a command line.

    Args:
        section: Name of its array of tables.
    """
    values = dataclasses.asdict(start)  # pyright: ignore[reportArgumentType]
    known = values | facts
    for table in tomllib.loads(file.read_text(encoding="utf-8"))[section]:
        when = table.pop("when", {})
        if all(
            known[name] in (one if isinstance(one, list) else [one]) for name, one in when.items()
        ):
            values = _merged(values, table)
    return build_settings(type(start), values, str(file))


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, value in changes.items():
        if isinstance(value, dict):
            merged[name] = _merged(values.get(name, {}), value)
        else:
            merged[name] = None if value == "None" else value
    return merged
