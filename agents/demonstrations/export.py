"""Export of demonstrations: shards beside the output, then the files of a format, then a rename.

An export works in the folder `NAME.exporting` beside its output. Each shard of episodes leaves its
pictures and a file of its walks there, so that an interrupted export resumes with the next shard.
The files of the format are written from the shards, and the folder is renamed at the end.
"""

import dataclasses
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import torch

from clipnav.agents.acting.rollout import STOP, Agent
from clipnav.agents.demonstrations import formats
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
from clipnav.agents.demonstrations.recording.decisions import poses_of, write_graph_pictures
from clipnav.agents.demonstrations.recording.records import (
    RecordedCandidate,
    RecordedStep,
    RecordedWalk,
    Source,
)
from clipnav.agents.demonstrations.recording.settings import (
    CONVERSATIONS,
    DemonstrationConfig,
    Format,
)
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.settings import AgentConfig, read_agent_config
from clipnav.agents.specs import agent_spec
from clipnav.envs.base.infos import start_episodes
from clipnav.envs.episodes import Episode, base_language, load_episodes
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.navigation.references import Teacher
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.walks import Walks
from clipnav.envs.pictures.view_pictures import ViewPictures
from clipnav.envs.pictures.world_pictures import shared_pictures
from clipnav.envs.worlds import WorldFiles, world_files
from clipnav.storage import atomic_write, remove_abandoned, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.extras import check_extra
from clipnav.storage.features.view_grid import view_direction
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import exclusive_lock
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar
from clipnav.storage.records import read_records
from clipnav.training.streams import Stream

PICTURES = "pictures"
_SHARDS = "shards"
_HINT = "delete the folder and export again"
_IDENTITY = "export.json"
_DATASET = "dataset"
# Writes walks, whose pictures are in a folder, to a folder.
Writer = Callable[[Iterable[RecordedWalk], Path, Path, DemonstrationConfig], None]
# Reads an export with its manifest strictly; returns what it contains in words.
Checker = Callable[[Path, dict[str, Any]], str]


def policy_settings(config: DemonstrationConfig) -> AgentConfig:
    """Return the settings of the policy's run, changed to those of an export."""
    assert config.policy is not None
    saved = read_agent_config(config.policy)
    for name in ("dataset", "world"):
        own, wanted = getattr(saved, name), getattr(config, name)
        if own != wanted:
            raise UserError(
                f"--policy {config.policy}: the run has --{name} {own}, but the export "
                f"--{name} {wanted}; export with --{name} {own}"
            )
    language, wanted = saved.instruction_language, config.instruction_language
    if language is not None and (wanted is None or language not in (wanted, base_language(wanted))):
        raise UserError(
            f"--policy {config.policy}: the run reads --instruction-language {language} only, but "
            f"the export has {wanted or 'all languages'}; add --instruction-language {language}, "
            "or name another run"
        )
    single_steps = "single-steps" in agent_spec(saved.agent).abilities
    if config.teacher_probability and not single_steps:
        raise UserError(
            f"--teacher-probability {config.teacher_probability}: {config.policy} is a run of "
            f"--agent {saved.agent}, which plans routes or remembers its actions, so that the "
            "teacher must not replace single steps; leave it out"
        )
    return dataclasses.replace(
        saved,
        teacher=config.teacher,
        data_dir=config.data_dir,
        instruction_language=config.instruction_language,
        max_episode_steps=config.max_episode_steps or saved.max_episode_steps,
        evaluation_batch_size=config.shard_episodes,
        device=config.device,
    )


def _load_policy(config: DemonstrationConfig) -> tuple[VlnVectorEnv, Agent]:
    """Return the environment of an export and the agent of its policy."""
    assert config.policy is not None
    return load_run(config.policy, config.split, policy_settings(config))


@dataclass(frozen=True)
class ExportShard:
    """Part of an export.

    Attributes:
        number: Number of the shard, from 0.
    """

    config: DemonstrationConfig
    staging: Path
    number: int
    episodes: tuple[Episode, ...]

    @property
    def path(self) -> Path:
        """File of the walks; it exists once the shard is complete."""
        return self.staging / _SHARDS / f"{self.number:06}.json"


def chosen_episodes(config: DemonstrationConfig) -> list[Episode]:
    """Return the episodes of an export, grouped by building."""
    if config.split.startswith("test"):
        raise UserError(
            f"--split {config.split}: test splits are for evaluation, and their goals are secret; "
            "export train, val_seen or val_unseen"
        )
    files = world_files(config.world, config.data_dir)
    episodes = load_episodes(config.dataset, config.split, files, config.instruction_language)
    if config.episodes is not None:
        if config.episodes > len(episodes):
            raise UserError(
                f"--episodes {config.episodes}: {config.split} of {config.dataset} has "
                f"{len(episodes)} episodes; choose at most as many"
            )
        rng = Stream.EXPORTED_EPISODES.rng(config.seed)
        drawn = np.sort(rng.choice(len(episodes), config.episodes, replace=False))
        episodes = [episodes[number] for number in drawn]
    return sorted(episodes, key=lambda episode: episode.scan)


def _make_shards(
    config: DemonstrationConfig, staging: Path, episodes: Sequence[Episode]
) -> list[ExportShard]:
    """Divide episodes, which are grouped by building, into shards of one building each."""
    parts: list[list[Episode]] = []
    for episode in episodes:
        full = not parts or len(parts[-1]) == config.shard_episodes
        if full or parts[-1][0].scan != episode.scan:
            parts.append([])
        parts[-1].append(episode)
    return [ExportShard(config, staging, number, tuple(part)) for number, part in enumerate(parts)]


def complete_shard(shard: ExportShard) -> int:
    """Walk the episodes of a shard and write its pictures, then its walks."""
    maker = _maker(shard.config)
    walks = maker.walks(shard.episodes)
    maker.write_pictures(walks, shard.staging / PICTURES)
    with atomic_write(shard.path) as beside:
        beside.write_bytes(msgspec.json.encode(walks))
    return sum(len(walk.steps) for walk in walks)


class ShardWalks:
    """The walks of complete shards in order, read again by each iteration."""

    def __init__(self, shards: Sequence[ExportShard]) -> None:
        self._shards = shards

    def __iter__(self) -> Iterator[RecordedWalk]:
        for shard in self._shards:
            yield from read_records(shard.path, RecordedWalk, _HINT)


class WalkMaker(Protocol):
    """Maker of walks and of their pictures."""

    def walks(self, episodes: Sequence[Episode]) -> list[RecordedWalk]:
        """Walk episodes of one building."""
        ...

    def write_pictures(self, walks: list[RecordedWalk], folder: Path) -> None:
        """Write the pictures of walks that do not exist yet."""
        ...


class GraphWalkMaker:
    """Maker of walks on graphs and of their pictures, for the shards of one export."""

    def __init__(self, config: DemonstrationConfig) -> None:
        self._config = config
        self._files = world_files(config.world, config.data_dir)
        self._pictures = _world_views(config)
        self._policy: tuple[VlnVectorEnv, Agent] | None = None

    def walks(self, episodes: Sequence[Episode]) -> list[RecordedWalk]:
        """Walk episodes of one building."""
        config = self._config
        if config.policy is None:
            world = _world(self._files, episodes[0].scan)
            return teacher_walks(world, episodes, config.teacher, GraphSteps(world))
        if self._policy is None:
            self._policy = _load_policy(config)
        env, agent = self._policy
        with torch.inference_mode():
            return policy_walks(
                env,
                agent,
                episodes,
                GraphSteps(env.nav_world),
                config.teacher_probability,
                config.seed,
            )

    def write_pictures(self, walks: list[RecordedWalk], folder: Path) -> None:
        """Write the pictures of walks that do not exist yet."""
        config = self._config
        poses = (pose for walk in walks for pose in poses_of(walk, config))
        write_graph_pictures(poses, folder, self._pictures.rgb, config.jpeg_quality)


def _world_views(config: DemonstrationConfig) -> ViewPictures:
    """Return the pictures of a world, in the size of an export."""
    files = world_files(config.world, config.data_dir)
    size, vfov = config.picture_shape, float(np.deg2rad(config.vfov))
    return shared_pictures(files, scan_dir=config.scan_dir, size=size, vfov=vfov)


@lru_cache(maxsize=2)
def _world(files: WorldFiles, scan: str) -> NavWorld:
    return NavWorld.load([scan], files.connectivity_dir)


@lru_cache(maxsize=1)
def _maker(config: DemonstrationConfig) -> WalkMaker:
    if config.walks_in == "graph":
        return GraphWalkMaker(config)
    from clipnav.agents.demonstrations.recording.continuous_walks import ContinuousWalkMaker

    return ContinuousWalkMaker(config)


class GraphSteps:
    """Builder of the steps of walks on the graphs of a world."""

    def __init__(self, world: NavWorld) -> None:
        self._world = world

    def step(self, node: int, view: int, label: int, taken: int, source: Source) -> RecordedStep:
        """Return the step of an agent at a node that faces a view 0..35."""
        world = self._world
        graph = world.graphs[world.scan_names[node]]
        position = graph.positions[world.locals[node]]
        targets = world.targets[node][world.valid[node]][1:]
        candidates = []
        for target, offset in zip(
            targets, graph.positions[world.locals[targets]] - position, strict=True
        ):
            east, north, rise = offset.tolist()
            candidates.append(
                RecordedCandidate(
                    viewpoint=str(world.viewpoint_ids[target]),
                    heading=float(np.arctan2(east, north)),
                    elevation=float(np.arctan2(rise, np.hypot(east, north))),
                    distance=float(np.linalg.norm(offset)),
                    rise=rise,
                )
            )
        x, y, z = position.tolist()
        return RecordedStep(
            position=(x, y, z),
            heading=view_direction(view)[0],
            label=label,
            taken=taken,
            source=source,
            viewpoint=str(world.viewpoint_ids[node]),
            candidates=tuple(candidates),
        )


def teacher_walks(
    world: NavWorld, episodes: Sequence[Episode], teacher: Teacher, steps: GraphSteps
) -> list[RecordedWalk]:
    """Walk episodes with the teacher, until it stops."""
    count = len(episodes)
    walks = Walks(world, episodes, count, teacher)
    walks.start(np.arange(count), np.arange(count))
    recorded: list[list[RecordedStep]] = [[] for _ in episodes]
    while not walks.terminated.all():
        actions = walks.teacher_actions()
        for row in np.flatnonzero(~walks.terminated).tolist():
            action = int(actions[row])
            place = int(walks.nodes[row]), int(walks.views[row])
            recorded[row].append(steps.step(*place, action, action, "teacher"))
        # Every teacher reaches the goal, whatever the length of its path.
        walks.step(actions, np.iinfo(np.int64).max)
    return [
        _finished(episode, own, float(distance))
        for episode, own, distance in zip(episodes, recorded, walks.distances, strict=True)
    ]


def policy_walks(
    env: VlnVectorEnv,
    agent: Agent,
    episodes: Sequence[Episode],
    steps: GraphSteps,
    teacher_probability: float = 0.0,
    seed: int = 0,
) -> list[RecordedWalk]:
    """Walk episodes with a policy and label each step with the teacher's action (DAgger).

    Where the policy stops although the teacher does not, the teacher takes over and walks to the
    end, so that the walk contains the way from there to the goal.

    Args:
        teacher_probability: Probability of the teacher's action at a step (Ross et al. 2011).
    """
    ids = [episode.instr_id for episode in episodes]
    observation, info, live = start_episodes(env, ids)
    stream = Stream.GRAPH_TEACHER_STEPS
    draws = [stream.rng(seed, zlib.crc32(name.encode())).random for name in ids]
    led = np.zeros(len(ids), bool)
    agent.begin(observation, info, live)
    recorded: list[list[RecordedStep]] = [[] for _ in ids]
    while live.size:
        labels = env.teacher_actions()
        actions = np.full(env.num_envs, STOP)
        actions[live] = labels[live]
        acting = live[~led[live]]
        own = agent.act(observation, info, acting) if acting.size else acting
        chosen = dict(zip(acting.tolist(), np.asarray(own).tolist(), strict=True))
        for row in live.tolist():
            action, label = chosen.get(row, int(labels[row])), int(labels[row])
            led[row] |= row in chosen and action == STOP != label
            source: Source = "policy" if row in chosen and not led[row] else "teacher"
            if source == "policy" and draws[row]() < teacher_probability:
                action, source = label, "teacher"
            actions[row] = label if source == "teacher" else action
            place = int(observation["viewpoint"][row]), int(observation["view"][row])
            recorded[row].append(steps.step(*place, label, int(actions[row]), source))
        observation, _, stopped, truncated, info = env.step(actions)
        live = live[~(stopped | truncated)[live]]
    distances = np.asarray(info["distance_to_goal"], float)[: len(ids)]
    return [
        _finished(episode, own, float(distance))
        for episode, own, distance in zip(episodes, recorded, distances, strict=True)
    ]


def _finished(episode: Episode, steps: list[RecordedStep], distance: float) -> RecordedWalk:
    radius = episode.goal.success_radius(SUCCESS_THRESHOLD)
    success = steps[-1].taken == STOP and distance < radius
    return RecordedWalk.of(episode, steps, success)


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
    with exclusive_lock(staging):
        if not _is_complete(output, known):  # by a process that has just ended
            _check_staging(staging, known)
            shards = _make_shards(config, staging, episodes)
            _complete(shards, config.workers)
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


def _complete(shards: list[ExportShard], workers: int) -> None:
    """Complete the shards that are missing."""
    missing = [shard for shard in shards if not shard.path.is_file()]
    total = sum(len(shard.episodes) for shard in shards)
    done = total - sum(len(shard.episodes) for shard in missing)
    with progress_bar(total=total, initial=done, desc="walks and pictures", unit="episodes") as bar:
        if workers == 1:
            results = ((shard, complete_shard(shard)) for shard in missing)
        else:
            results = run_jobs(complete_shard, missing, workers, "exports demonstrations")
        for shard, _ in results:
            bar.update(len(shard.episodes))


def _remove(staging: Path) -> None:
    with suppress(FileNotFoundError):  # another process removes it, too
        shutil.rmtree(staging)


def _check_sources(config: DemonstrationConfig) -> None:
    """Check that pictures and policy exist before any work."""
    if config.walks_in == "graph":
        _world_views(config)
    if config.policy is not None and config.walks_in == "continuous":
        from clipnav.agents.demonstrations.recording.continuous_walks import (
            check_continuous_policy,
            continuous_settings,
        )

        check_continuous_policy(config, continuous_settings(config).turn_angle)
    elif config.policy is not None:
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
    hint = f"delete {staging} to start again"
    if path.is_file():
        differences = differing(known, read_json(path, hint))
        if differences:
            raise FileExistsError(
                f"{staging}: contains an unfinished export with other settings "
                f"({'; '.join(differences[:3])}); finish it with its settings, or {hint}"
            )
    elif {entry.name for entry in staging.iterdir()} - {".lock"}:
        raise FileExistsError(f"{staging}: is no unfinished export; name another --output")
    else:
        write_text(path, json.dumps(known, indent=2) + "\n")


def _format(name: Format) -> tuple[Writer, Checker]:
    """Return the writer and the strict reader of a format."""
    packages = {"lerobot": ("pyarrow", "av"), "uni-navid": ("av",), "internnav": ("pyarrow",)}
    for package in packages.get(name, ()):
        check_extra(package, EXTRA, f"--format {name}")
    # Imported here, as some import packages of the extra.
    file = "conversations" if name in CONVERSATIONS else name.replace("-", "_")
    module = import_module(f"{formats.__name__}.{file}")
    return module.write, module.check
