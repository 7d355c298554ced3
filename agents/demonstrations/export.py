"""Export of demonstrations: shards beside the output, then the files of a format, then a rename.

An export works in the folder `NAME.exporting` beside its output. Each shard of episodes leaves its
pictures and a file of its walks there, so that an interrupted export resumes with the next shard.
The files of the format are written from the shards, and the folder is renamed at the end.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from clipnav.agents.demonstrations.formats import conversations
from clipnav.agents.demonstrations.formats.files import EXTRA
from clipnav.agents.demonstrations.manifest import (
    MANIFEST,
    Json,
    count_walks,
    differing,
    identity,
    read_manifest,
    write_manifest,
)
from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import (
    CONVERSATIONS,
    DemonstrationConfig,
    Format,
)
from clipnav.agents.demonstrations.recording.shards import (
    PICTURES,
    ShardWalks,
    chosen_episodes,
    complete_shard,
    make_shards,
    world_views,
)
from clipnav.storage import remove_abandoned, write_text
from clipnav.storage.errors import UserError, counted
from clipnav.storage.extras import check_extra
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import sole_writer
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar

_IDENTITY = "export.json"
_DATASET = "dataset"


def export_demonstrations(config: DemonstrationConfig) -> Json:
    """Export demonstrations; resume an unfinished export with the same settings."""
    writer = _format(config.format)[0]  # checks its packages first
    episodes = chosen_episodes(config)
    _check_sources(config)
    known = identity(config, episodes)
    output = config.output.resolve()  # a folder cannot be renamed to a link
    staging = output.with_name(output.name + ".exporting")
    if _is_complete(output, known):
        if (staging / _IDENTITY).is_file():  # interrupted after the rename
            _remove(staging)
        return read_manifest(output)
    staging.mkdir(parents=True, exist_ok=True)
    with sole_writer(staging):
        if not _is_complete(output, known):  # by a process that has just ended
            _check_staging(staging, known)
            shards = make_shards(config, staging, episodes)
            missing = [shard for shard in shards if not shard.path.is_file()]
            total = sum(len(shard.episodes) for shard in shards)
            done = total - sum(len(shard.episodes) for shard in missing)
            with progress_bar(
                total=total, initial=done, desc="walks and pictures", unit="episodes"
            ) as bar:
                if config.workers == 1:
                    results = ((shard, complete_shard(shard)) for shard in missing)
                else:
                    results = run_jobs(
                        complete_shard, missing, config.workers, "exports demonstrations"
                    )
                for shard, _ in results:
                    bar.update(len(shard.episodes))
            dataset, walks = staging / _DATASET, ShardWalks(shards)
            counts = count_walks(walks)
            if config.format not in CONVERSATIONS and counts["truncated"] == counts["episodes"]:
                raise UserError(
                    f"--format {config.format}: none of the walks reaches a stop, so that the "
                    "dataset would be empty; raise --max-episode-steps, or name another --policy"
                )
            shutil.rmtree(dataset, ignore_errors=True)
            dataset.mkdir()
            writer(walks, staging / PICTURES, dataset, config)
            write_manifest(dataset, config, known, counts)
            if output.is_dir():  # an empty one, which Windows does not replace
                output.rmdir()
            os.replace(dataset, output)
    _remove(staging)  # without the lock, because Windows does not delete open files
    return read_manifest(output)


def check_export(folder: Path) -> str:
    """Read an export with the strict reader of its format; return a summary."""
    manifest = read_manifest(folder)
    settings = manifest["settings"]
    found = _format(settings["format"])[1](folder, manifest)
    return f"{folder}: {settings['format']} is correct: {found}"


def _remove(staging: Path) -> None:
    with suppress(FileNotFoundError):  # another process removes it, too
        shutil.rmtree(staging)


def _check_sources(config: DemonstrationConfig) -> None:
    """Check that pictures and policy exist before any work."""
    if config.walks_in == "graph":
        world_views(config)
    if config.policy is not None and config.walks_in == "continuous":
        from clipnav.agents.demonstrations.recording.continuous_walks import (
            check_continuous_policy,
            continuous_settings,
        )

        check_continuous_policy(config, continuous_settings(config).turn_angle)
    elif config.policy is not None:
        from clipnav.agents.demonstrations.recording.shards import policy_settings

        policy_settings(config)


def _is_complete(output: Path, known: Json) -> bool:
    """Return whether the output contains this export already."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    if not (output / MANIFEST).is_file():
        raise FileExistsError(
            f"{output}: contains something else than an export; name a new folder with --output"
        )
    differences = differing(known, read_manifest(output))
    if differences:
        raise FileExistsError(
            f"{output}: contains an export with other settings ({'; '.join(differences[:3])}); "
            "name a new folder with --output"
        )
    return True


def _check_staging(staging: Path, known: Json) -> None:
    """Check that an unfinished export has the same settings, or start a new one."""
    remove_abandoned(staging)  # of the identity, whose writing can be killed
    path = staging / _IDENTITY
    remedy = f"delete {staging} to start again"
    if path.is_file():
        differences = differing(known, read_json(path, remedy))
        if differences:
            raise FileExistsError(
                f"{staging}: contains an unfinished export with other settings "
                f"({'; '.join(differences[:3])}); finish it with its settings, or {remedy}"
            )
    elif {entry.name for entry in staging.iterdir()} - {".lock"}:
        raise FileExistsError(f"{staging}: is no unfinished export; name another --output")
    else:
        write_text(path, json.dumps(known, indent=2) + "\n")


# Writes walks, whose pictures are in a folder, to a folder.
Writer = Callable[[Iterable[RecordedWalk], Path, Path, DemonstrationConfig], None]
# Reads an export with its manifest strictly; returns what it contains in words.
Checker = Callable[[Path, dict[str, Any]], str]


def _format(name: Format) -> tuple[Writer, Checker]:
    """Return the writer and the strict reader of a format."""
    packages = {"lerobot": ("pyarrow", "av"), "uni-navid": ("av",), "internnav": ("pyarrow",)}
    for package in packages.get(name, ()):
        check_extra(package, EXTRA, f"--format {name}")
    if name in CONVERSATIONS:
        return conversations.write, _check_conversations
    # Imported here, as some import packages of the extra.
    module = import_module(f"{conversations.__package__}.{name.replace('-', '_')}")
    return module.write, module.check


def _check_conversations(folder: Path, manifest: dict[str, Any]) -> str:
    camera = manifest["camera"]
    decisions = conversations.read(folder, (camera["width"], camera["height"]))
    expected = manifest["counts"]["steps"]
    if len(decisions) != expected:
        raise UserError(f"{folder}: {len(decisions)} records, but the manifest has {expected}")
    pictures = {picture for decision in decisions for picture in decision.pictures}
    return f"{counted(len(decisions), 'record')}, {counted(len(pictures), 'picture')}"
