"""Writer and strict reader of each format."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from clipnav.agents.demonstrations.formats import conversations, navila, streamvln, uni_navid
from clipnav.agents.demonstrations.formats.videos import EXTRA
from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig, Format
from clipnav.storage.errors import UserError, counted
from clipnav.storage.extras import check_extra

# Writes walks, whose pictures are in a folder, to a folder.
Writer = Callable[[Iterable[RecordedWalk], Path, Path, DemonstrationConfig], None]
# Reads an export with its manifest strictly; returns what it contains in words.
Checker = Callable[[Path, dict[str, Any]], str]


def writer_of(name: Format) -> Writer:
    """Return the writer of a format.

    Raises:
        ModuleNotFoundError: A package of the format is missing.
    """
    return _WRITERS[name]()


def checker_of(name: Format) -> Checker:
    """Return the strict reader of a format.

    Raises:
        ModuleNotFoundError: A package of the format is missing.
    """
    return _CHECKERS[name]()


def _check_conversations(folder: Path, manifest: dict[str, Any]) -> str:
    camera = manifest["camera"]
    decisions = conversations.read(folder, (camera["width"], camera["height"]))
    expected = manifest["counts"]["steps"]
    if len(decisions) != expected:
        raise UserError(f"{folder}: {len(decisions)} records, but the manifest has {expected}")
    pictures = {picture for decision in decisions for picture in decision.pictures}
    return f"{counted(len(decisions), 'record')}, {counted(len(pictures), 'picture')}"


def _lerobot_writer() -> Writer:
    from clipnav.agents.demonstrations.formats import lerobot

    for module in ("pyarrow", "av"):
        check_extra(module, EXTRA, "--format lerobot")
    return lerobot.write


def _uni_navid_writer() -> Writer:
    check_extra("av", EXTRA, "--format uni-navid")
    return uni_navid.write


def _lerobot_checker() -> Checker:
    from clipnav.agents.demonstrations.formats import lerobot_reader

    return lerobot_reader.check


_WRITERS: dict[str, Callable[[], Writer]] = {
    "llava": lambda: conversations.write,
    "messages": lambda: conversations.write,
    "lerobot": _lerobot_writer,
    "streamvln": lambda: streamvln.write,
    "navila": lambda: navila.write,
    "uni-navid": _uni_navid_writer,
}
_CHECKERS: dict[str, Callable[[], Checker]] = {
    "llava": lambda: _check_conversations,
    "messages": lambda: _check_conversations,
    "lerobot": _lerobot_checker,
    "streamvln": lambda: streamvln.check,
    "navila": lambda: navila.check,
    "uni-navid": lambda: uni_navid.check,
}
