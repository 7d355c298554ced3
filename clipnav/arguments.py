"""Words of a command line that stand for others: settings files in TOML, and runs on a hub."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipnav.storage.errors import UserError
from clipnav.storage.shared_runs import SCHEME, local_run

_CONFIG = "--config"


def expanded(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which each word stands for itself.

    `--config FILE.toml` becomes the flags of the file that are not on the command line, and
    `hf:OWNER/NAME`, also after `--flag=`, the folder into which the run is downloaded.
    """
    words: list[str] = []
    given = {_plain(word) for word in arguments if word.startswith("--")}
    pending = iter(arguments)
    for word in pending:
        flag, equals, value = word.partition("=")
        if flag == _CONFIG and not equals:
            value = next(pending, "")
        if flag == _CONFIG and value.lower().endswith(".toml"):
            words += _flags(Path(value), given)
        elif flag == _CONFIG and not equals:
            words += [flag, value] if value else [flag]
        else:
            words.append(word)
    return [_located(word) for word in words]


def _flags(file: Path, given: set[str]) -> Iterator[str]:
    """Yield the flags of a settings file, except those that are given."""
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not a TOML file ({error}); correct it") from error
    for name, value in _flattened(settings):
        *groups, last = name.replace("_", "-").split(".")
        if ".".join((*groups, last)) in given:
            continue
        is_off = value is False
        yield "--" + ".".join((*groups, f"no-{last}" if is_off else last))
        if not isinstance(value, bool):
            yield from map(str, value if isinstance(value, list) else [value])


def _flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _plain(flag: str) -> str:
    """Return the name of a setting in the form of `--vision`, also for `--no-vision=...`."""
    *groups, last = flag.partition("=")[0][2:].replace("_", "-").split(".")
    return ".".join((*groups, last.removeprefix("no-")))


def _located(word: str) -> str:
    """Return a word with the folder of a run in place of its address."""
    flag, equals, value = word.partition("=")
    if word.startswith(SCHEME):
        return str(local_run(word))
    if flag.startswith("--") and value.startswith(SCHEME):
        return f"{flag}{equals}{local_run(value)}"
    return word
