"""Read, write and check the settings of a run, a frozen dataclass.

Files contain all settings: the default in place of a missing one could silently be another value
than that of the run.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from clipnav.storage.errors import NoEffectError, UserError, truncate
from clipnav.storage.json_files import read_json
from clipnav.storage.outputs import CONFIG as CONFIG  # within the folder of a run

ROW = "row"  # in the settings of a run, see `to_json`
_HINT = "correct the file, or train the run again"

Config = TypeVar("Config")


def to_json(config: Any) -> str:
    """Return settings, with the command of the training, as JSON text for `read_config`.

    The row of another package is for people and messages: no reader imports it.
    """
    about = {"command": config.COMMAND} if hasattr(config, "COMMAND") else {}
    if getattr(config, ROW, None) is not None:
        about[ROW] = getattr(config, ROW)
    return json.dumps(about | dataclasses.asdict(config), indent=2, default=_json_value) + "\n"


def _json_value(value: Any) -> str:
    """Return a value as text; paths with slashes, so that a run can move from Windows elsewhere."""
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def read_config(run: Path, kind: type[Config]) -> Config:
    """Read the settings of a run from its folder."""
    path = run / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; name a run of {_command(kind)}")
    return read_settings(path, kind)


def read_settings(path: Path, kind: type[Config]) -> Config:
    """Read settings from a file in the format of `to_json`."""
    values = read_json(path, _HINT, allow_nan=True)
    if isinstance(values, dict):
        values.pop(ROW, None)
        command = values.pop("command", _command(kind))
        if command != _command(kind):
            raise UserError(
                f"{path}: was written by {truncate(command)}, but {_command(kind)} is needed"
            )
    return build_settings(kind, values, str(path))


def build_settings(kind: Any, values: Any, source: str) -> Any:
    """Return settings from their JSON values."""
    if not isinstance(values, dict):
        raise UserError(f"{source}: {truncate(values)} is not a group of settings; {_HINT}")
    hints = get_type_hints(kind)
    known = {item.name: hints[item.name] for item in dataclasses.fields(kind)}
    wrong = sorted(values.keys() ^ known.keys())
    if wrong:
        listed = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise UserError(
            f"{source}: missing or unknown settings {listed}; name a run of {_command(kind)}, or "
            "train it again if it is of another version of clipnav"
        )
    settings = {name: _value(known[name], values[name], f"{source}: {name}") for name in values}
    try:
        return kind(**settings)
    except ValueError as error:
        raise UserError(f"{source}: {error}; {_HINT}") from error


def _command(kind: Any) -> str:
    return getattr(kind, "COMMAND", "this training")


def _path(kind: type, value: Any) -> Any:
    """Convert a string to a Path for `msgspec.convert`, which does not know the type."""
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise UserError(f"expected {kind.__name__}")


def _value(kind: Any, value: Any, source: str) -> Any:
    """Convert a JSON value to the type of a setting."""
    if dataclasses.is_dataclass(kind):
        return build_settings(kind, value, source)
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise UserError(
            f"{source} is {value!r}, none of {', '.join(map(str, get_args(kind)))}; another "
            "version of clipnav made the run: train it again"
        )
    try:
        return msgspec.convert(value, kind, strict=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise UserError(f"{source} is {truncate(value)}: {error}; {_HINT}") from error


def check_counts(settings: Any, names: Iterable[str], part: str = "", least: int = 1) -> None:
    """Check that integer settings are not too small; None passes."""
    for name in names:
        count = getattr(settings, name)
        if count is not None and count < least:
            raise UserError(f"--{part}{name.replace('_', '-')} {count}: must be at least {least}")


def check_unused_options(
    settings: Any, idle: Mapping[str, str], defaults: Any = None, part: str = ""
) -> None:
    """Refuse given settings that have no effect.

    Args:
        idle: Names of settings without effect, dotted if nested, and the reasons. The name of a
            group includes all its settings.
    """
    given = flattened(settings)
    if defaults is None:
        default_values = {item.name: item.default for item in dataclasses.fields(settings)}
    else:
        default_values = flattened(defaults)
    for idle_name, reason in idle.items():
        for name in _settings_of(idle_name, given):
            if given[name] != default_values[name]:
                flag = flag_text(part + name, given[name])
                raise NoEffectError(f"{flag} has no effect {reason}", part + name)


def _settings_of(name: str, settings: Mapping[str, Any]) -> list[str]:
    """Return the dotted name of a setting, or those of all settings of a group."""
    if name in settings:
        return [name]
    names = [other for other in settings if other.startswith(f"{name}.")]
    if not names:
        raise KeyError(name)
    return names


def flag_text(name: str, value: Any) -> str:
    """Return a setting in the form of the command line."""
    *parts, last = name.replace("_", "-").split(".")
    if isinstance(value, bool):
        return "--" + ".".join((*parts, last if value else f"no-{last}"))
    words = value if isinstance(value, tuple) else (value,)
    return " ".join(map(str, ("--" + ".".join((*parts, last)), *words)))


def idle_training_settings(config: Any) -> dict[str, str]:
    """Return the names of training settings that other settings make ineffective, and why."""
    idle = {f"optimiser.{name}": reason for name, reason in config.optimiser.idle().items()}
    if config.minutes is not None:
        idle["iterations"] = f"with --minutes {config.minutes:g}, which ends the run"
    return idle


def check_numbers(
    settings: Any, names: Iterable[str], part: str = "", most: float | None = None
) -> None:
    """Check that settings are finite numbers from 0 to a maximum."""
    limit = "a finite number that is at least 0" if most is None else f"a number from 0 to {most:g}"
    for name in names:
        value = getattr(settings, name)
        if not (math.isfinite(value) and 0 <= value <= (value if most is None else most)):
            flag = f"--{part}{name.replace('_', '-')}"
            raise UserError(f"{flag} {value:g}: must be {limit}")


def check_splits(settings: Any, names: Iterable[str]) -> None:
    """Check that settings are tuples of one or more different splits."""
    for name in names:
        splits, flag = getattr(settings, name), f"--{name.replace('_', '-')}"
        if isinstance(splits, str):
            raise UserError(f"{flag} {splits}: must be a tuple of splits: ({splits!r},)")
        if not splits:
            raise UserError(f"{flag}: names no split; name at least one")
        if len(set(splits)) < len(splits):
            raise UserError(f"{flag} {' '.join(splits)}: names a split twice; name it once")


def check_selection(settings: Any) -> None:
    """Check the evaluation splits, and that one of them selects the best weights."""
    check_splits(settings, ("evaluation_splits",))
    if settings.select_by not in settings.evaluation_splits:
        raise UserError(
            f"--select-by {settings.select_by}: not among --evaluation-splits "
            f"{' '.join(settings.evaluation_splits)}; add it there, or select by another split"
        )


def check_dropout(settings: Any, names: Iterable[str], part: str = "") -> None:
    """Check that dropout rates are in [0, 1)."""
    for name in names:
        rate = getattr(settings, name)
        if not 0 <= rate < 1:
            flag = f"--{part}{name.replace('_', '-')}"
            raise UserError(f"{flag} {rate:g}: must be at least 0 and below 1")


def check_positive(settings: Any, names: Iterable[str], part: str = "") -> None:
    """Check that settings are greater than 0; None passes."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise UserError(f"--{part}{name.replace('_', '-')} {value:g}: must be greater than 0")


def check_same_run(
    run: Path, settings: Any, may_change: frozenset[str], whose: str, hint: str
) -> None:
    """Check that settings are equal to those of the run in a folder."""
    found = differences(read_config(run, type(settings)), settings, may_change)
    if found:
        raise UserError(f"{run / CONFIG} and {whose} differ in {'; '.join(found)}; {hint}")


def differences(earlier: Any, now: Any, ignore: Iterable[str] = ()) -> list[str]:
    """Return the settings in which two configurations differ, as "name: value against value".

    Both are dataclasses or JSON values of them; `ignore` names settings or groups that may differ.
    """
    then, today = flattened(earlier), flattened(now)
    return [
        f"{name}: {then.get(name)} against {value}"
        for name, value in today.items()
        if not {name, name.split(".")[0]} & set(ignore) and then.get(name) != value
    ]


def flattened(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Return the nested settings of a dataclass, or of its JSON values, by dotted names."""
    values = settings if isinstance(settings, Mapping) else dataclasses.asdict(settings)
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        flat |= flattened(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat
