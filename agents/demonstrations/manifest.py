"""The manifest of an export: provenance, camera, actions, counts and licence."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig, Format
from clipnav.envs.episodes import Episode
from clipnav.envs.worlds import is_built_in
from clipnav.storage import file_sha256, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import describe_problem, read_json
from clipnav.training.checkpoints import MODEL
from clipnav.training.settings import CONFIG, differences

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
Json = dict[str, Any]
# Settings that change neither the walks nor the files.
_WITHOUT_INFLUENCE = frozenset({"output", "workers", "device", "check"})
_GRAPH_ACTIONS = {
    "0": "stop",
    "k": "move to candidate k, in EnvDrop's order of the neighbours of the viewpoint",
}
_PRIMITIVE_ACTIONS = {"0": "stop", "1": "forward", "2": "turn left", "3": "turn right"}
_LICENCES = {
    True: "Pictures, graphs and instructions of clipnav's built-in houses: MIT, as clipnav itself.",
    False: (
        "Pictures, graphs and instructions derive from the data of --data-dir, whose terms apply "
        "to this export (for Matterport3D its Terms of Use, which restrict redistribution)."
    ),
}


class _Settings(msgspec.Struct):
    format: Format


class _Camera(msgspec.Struct):
    width: int
    height: int
    vertical_fov_degrees: float


class _Counts(msgspec.Struct):
    steps: int
    truncated_steps: int = 0  # earlier exports lack it; their lerobot has these walks, too


class _Manifest(msgspec.Struct):
    """The fields that readers of an export use."""

    dataset: str
    settings: _Settings
    camera: _Camera
    counts: _Counts


def identity(config: DemonstrationConfig, episodes: Sequence[Episode]) -> Json:
    """Return everything that determines the content of an export."""
    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in dataclasses.asdict(config).items()
        if name not in _WITHOUT_INFLUENCE
    }
    rows = [
        [e.instr_id, e.scan, list(e.path), e.heading, e.instruction, e.language] for e in episodes
    ]
    return {
        "format_version": FORMAT_VERSION,
        "clipnav": version("clipnav"),
        "settings": settings,
        "episodes_sha256": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        "policy": None if config.policy is None else _policy_identity(config.policy),
    }


def _policy_identity(run: Path) -> Json:
    """Return name, settings and weights of a run as digests."""
    for name in (CONFIG, MODEL):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"{run / name}: no such file; name the folder of a run of clipnav train-agent with "
                "--policy"
            )
    return {
        "run": run.name,
        "settings_sha256": file_sha256(run / CONFIG),
        "weights_sha256": file_sha256(run / MODEL),
    }


def count_walks(walks: Iterable[RecordedWalk]) -> Json:
    """Return the counts of an export, ready for JSON."""
    episodes = successes = truncated = truncated_steps = collisions = 0
    languages, sources, scans = Counter[str](), Counter[str](), set[str]()
    for walk in walks:
        episodes += 1
        successes += walk.success
        if not walk.stopped:
            truncated += 1
            truncated_steps += len(walk.steps)
        languages[walk.language] += 1
        scans.add(walk.scan)
        sources.update(step.source for step in walk.steps)
        collisions += sum(step.collided for step in walk.steps)
    return {
        "episodes": episodes,
        "steps": sources.total(),
        "steps_by_source": dict(sorted(sources.items())),
        "successes": successes,
        "truncated": truncated,
        "truncated_steps": truncated_steps,
        "collisions": collisions,
        "episodes_by_language": dict(sorted(languages.items())),
        "scans": sorted(scans),
    }


def write_manifest(folder: Path, config: DemonstrationConfig, known: Json, counts: Json) -> None:
    """Write the manifest of a complete export."""
    height, width = config.picture_shape
    manifest = {
        "package": "clipnav",
        "world": config.world,
        "dataset": config.dataset,
        "split": config.split,
        "seed": config.seed,
        "environment": config.walks_in,
        **known,
        "counts": counts,
        "camera": {
            "width": width,
            "height": height,
            "vertical_fov_degrees": config.vfov,
            "elevation_degrees": -config.goal_cameras.ahead if config.format == "internnav" else 0,
        },
        "actions": _GRAPH_ACTIONS if config.walks_in == "graph" else _PRIMITIVE_ACTIONS,
        "licence": _LICENCES[is_built_in(config.world)],
    }
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def read_manifest(folder: Path) -> Json:
    """Read the manifest of an export."""
    path = folder / MANIFEST
    hint = "export it again with clipnav export-demonstrations"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing, so that {folder} is no export; {hint}")
    manifest = read_json(path, hint)
    try:
        msgspec.convert(manifest, _Manifest)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {describe_problem(error)}; {hint}") from error
    return manifest


def differing(known: Json, other: Json) -> list[str]:
    """Return in what two identities differ, as "name: value against value"."""
    found = differences(other.get("settings", {}), known.get("settings", {}))
    found += [
        f"{name}: {other.get(name)} against {known[name]}"
        for name in ("format_version", "clipnav", "policy")
        if known[name] != other.get(name)
    ]
    if not found and known["episodes_sha256"] != other.get("episodes_sha256"):
        found.append("the episodes, whose annotation file has changed")
    return found
