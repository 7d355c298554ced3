"""Settings of a run, a frozen dataclass, in its folder.

A setting that is added later has a default that does what was done before, so that earlier runs,
whose files lack it, mean what they meant. One that never had an effect may go: its name then stands
in WITHOUT_EFFECT of the dataclass, and files that have it are read without it.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from storage.json_files import read_json
from storage.messages import shortened

_REMEDY = "train the run anew"
CONFIG = "config.json"  # within the folder of a run

Config = TypeVar("Config")


def to_json(config: Any) -> str:
    """Settings as JSON text; `read_config` reads it back."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def read_config(run: Path, kind: type[Config]) -> Config:
    """Settings of a run from its folder.

    Args:
        run: The folder.
        kind: Settings of which kind of training.

    Raises:
        FileNotFoundError: The folder is no run.
        ValueError: The file is damaged, of another kind of training or from another version; names
            file and setting.
    """
    path = run / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; name the folder of a training run")
    return _build(kind, read_json(path, _REMEDY, allow_nan=True), str(path))


def _build(kind: Any, values: Any, source: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{source}: {shortened(values)} is no group of settings; {_REMEDY}")
    hints = get_type_hints(kind)
    known = {item.name: hints[item.name] for item in dataclasses.fields(kind)}
    left_out = getattr(kind, "WITHOUT_EFFECT", ())
    values = {name: value for name, value in values.items() if name not in left_out}
    needed = {item.name for item in dataclasses.fields(kind) if not _has_default(item)}
    odd = sorted((values.keys() - known.keys()) | (needed - values.keys()))
    if odd:
        listed = ", ".join(odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
        command = getattr(kind, "COMMAND", "the wanted kind")
        raise ValueError(
            f"{source}: missing or unknown settings {listed}; name a run of {command}, or "
            "train it anew if it is one of another version of clipnav"
        )
    found = {name: _value(known[name], values[name], f"{source}: {name}") for name in values}
    try:
        return kind(**found)
    except ValueError as error:
        raise ValueError(f"{source}: {error}; {_REMEDY}") from error


def _path(kind: type, value: Any) -> Any:
    """What `msgspec.convert` asks about the one type of settings that JSON does not know."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected {kind.__name__}")


def _has_default(item: dataclasses.Field[Any]) -> bool:
    absent = dataclasses.MISSING
    return item.default is not absent or item.default_factory is not absent


def _value(kind: Any, value: Any, source: str) -> Any:
    """A value as JSON holds it, turned into what a setting of that type holds."""
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, source)
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise ValueError(
            f"{source} is {value!r}, none of {', '.join(map(str, get_args(kind)))}; the run was "
            "made by another version of clipnav: train it anew"
        )
    try:
        return msgspec.convert(value, kind, strict=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ValueError(f"{source} is {shortened(value)}: {error}; {_REMEDY}") from error


def check_counts(settings: Any, names: Iterable[str], part: str = "", least: int = 1) -> None:
    """Make sure that settings that count something, unless left open, are large enough.

    Args:
        settings: A dataclass.
        names: Of its settings.
        part: What stands before these in the names of flags: "search.".
        least: What they are at least, if not 1.

    Raises:
        ValueError: One is less; names its flag.
    """
    for name in names:
        count = getattr(settings, name)
        if count is not None and count < least:
            raise ValueError(f"--{part}{name.replace('_', '-')} {count}: must be at least {least}")


def check_effects(
    settings: Any, idle: Mapping[str, str], defaults: Any = None, part: str = ""
) -> None:
    """Refuse settings that were given and have no effect beside the others.

    Args:
        settings: A dataclass.
        idle: Names of its settings that have no effect, dotted where they are in parts, and why.
        defaults: What they are where nobody gives them; those of the dataclass by default.
        part: What stands before the names in those of flags: "search.".

    Raises:
        ValueError: One of them is no default; names its flag and the reason.
    """
    given = _flat(dataclasses.asdict(settings))
    if defaults is None:
        usual = {item.name: item.default for item in dataclasses.fields(settings)}
    else:
        usual = _flat(dataclasses.asdict(defaults))
    for name, reason in idle.items():
        if given[name] != usual[name]:
            raise ValueError(f"{_flag(part + name, given[name])} has no effect {reason}")


def _flag(name: str, value: Any) -> str:
    """A setting as a command line has it."""
    *parts, last = name.replace("_", "-").split(".")
    if isinstance(value, bool):
        return "--" + ".".join((*parts, last if value else f"no-{last}"))
    words = value if isinstance(value, tuple) else (value,)
    return " ".join(map(str, ("--" + ".".join((*parts, last)), *words)))


def idle_training_settings(config: Any) -> dict[str, str]:
    """Names of settings of any run that have no effect beside others, and why.

    Args:
        config: As for `training.trainer.Trainer`.
    """
    idle = {f"optimiser.{name}": reason for name, reason in config.optimiser.idle().items()}
    if config.minutes is not None:
        idle["iterations"] = f"with --minutes {config.minutes:g}, which ends the run"
    return idle


def check_numbers(
    settings: Any, names: Iterable[str], part: str = "", most: float | None = None
) -> None:
    """Check that settings are finite numbers, not negative and not above a limit.

    Args:
        settings: A dataclass.
        names: Of its settings.
        part: What stands before these in the names of flags: "reinforcement.".
        most: The limit, if there is one.

    Raises:
        ValueError: One is something else; names its flag.
    """
    limit = "a finite number that is at least 0" if most is None else f"a number from 0 to {most:g}"
    for name in names:
        value = getattr(settings, name)
        if not (math.isfinite(value) and 0 <= value <= (value if most is None else most)):
            flag = f"--{part}{name.replace('_', '-')}"
            raise ValueError(f"{flag} {value:g}: must be {limit}")


def check_minutes(minutes: float | None) -> None:
    """Make sure that a run that ends by the clock has some time.

    Raises:
        ValueError: It has none.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--minutes {minutes:g}: a run needs some time")


def check_same_run(
    run: Path, settings: Any, may_change: frozenset[str], whose: str, remedy: str
) -> None:
    """Make sure that settings are those of the run in a folder.

    Args:
        run: The folder.
        settings: A frozen dataclass.
        may_change: Names of settings that may differ from those in the folder.
        whose: What the settings are of, for the message: "the command line".
        remedy: What to do if they are not.

    Raises:
        ValueError: They are not; names the settings that differ, and the remedy.
    """
    contradictions = differences(read_config(run, type(settings)), settings, may_change)
    if contradictions:
        raise ValueError(
            f"{run / CONFIG} and {whose} differ in {'; '.join(contradictions)}; {remedy}"
        )


def differences(one: Any, other: Any, ignore: frozenset[str]) -> list[str]:
    """Settings in which two configurations differ, as "name: value against value"."""
    left, right = _flat(dataclasses.asdict(one)), _flat(dataclasses.asdict(other))
    return [
        f"{name}: {left[name]} against {right[name]}"
        for name in left
        if name.split(".")[0] not in ignore and left[name] != right[name]
    ]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
