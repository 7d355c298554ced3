"""Collection of demonstrations on disk: the expert's walks, and those of DAgger."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from tqdm import tqdm

from clipnav.agents.continuous.networks import ContinuousNetwork
from clipnav.agents.continuous.settings import ContinuousTrainConfig
from clipnav.agents.continuous.walking import FrozenFeatures, NetworkWalker, never, open_buildings
from clipnav.envs.base.infos import start_episodes
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.settings import STOP
from clipnav.storage.errors import UserError
from clipnav.storage.locks import waiting_lock
from clipnav.storage.progress import progress_bar
from clipnav.storage.tensor_files import write_tensors
from clipnav.training.streams import Stream, iteration_seed

DEMONSTRATIONS = "demonstrations"  # folder in that of a run
FORMAT_VERSION = "1"
_KEY = "key"  # entry of a file's metadata
_ORDER = 0  # seed of the order in which paths are shown; one order for all runs
_POOL = 16  # batches that are drawn together and divided by length


@dataclass(frozen=True, eq=False)
class Demonstration:
    """A walk, and the expert's action after each of its steps.

    Attributes:
        rgb: (T, cells, C) float16 grid features.
        depth: (T, P, P) float16 depth pictures.
        previous: (T,) int8, one more than the previous action, 0 at the start.
        labels: (T,) int8 actions of the expert.
        progress: (T,) float32 share of the initial distance to the goal that has been covered.
    """

    episode: int
    rgb: np.ndarray
    depth: np.ndarray
    previous: np.ndarray
    labels: np.ndarray
    progress: np.ndarray

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.labels)


class DemonstrationStore:
    """A folder of demonstrations, a file for each part of a round.

    A file is complete or absent, so that an interrupted collection continues with the first missing
    part. Steps are read from disk when they are needed.
    """

    def __init__(self, folder: Path, key: Mapping[str, str]) -> None:
        self.folder = folder
        self._key = json.dumps({"format": FORMAT_VERSION, **key}, sort_keys=True)
        self._offsets: dict[str, np.ndarray] = {}
        self._episodes: dict[str, np.ndarray] = {}

    def has(self, name: str) -> bool:
        """Return whether a part has been written."""
        if not self._path(name).is_file():
            return False
        self._open(name)
        return True

    def write(self, name: str, walks: Sequence[Demonstration]) -> None:
        """Write a part as a whole."""
        offsets = np.cumsum([0, *map(len, walks)])
        arrays = {
            field: np.concatenate([getattr(walk, field) for walk in walks])
            for field in ("rgb", "depth", "previous", "labels", "progress")
        }
        arrays["offsets"] = offsets
        arrays["episodes"] = np.array([walk.episode for walk in walks])
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tensors(self._path(name), save(arrays, {_KEY: self._key}))
        self._offsets.pop(name, None)

    def check_disk_space(self, names: Sequence[str]) -> None:
        """Check the disk space for the missing parts, of the mean size of the others."""
        paths = [self._path(name) for name in names]
        sizes = [path.stat().st_size for path in paths if path.is_file()]
        required = (len(paths) - len(sizes)) * sum(sizes) / len(sizes)
        free = shutil.disk_usage(self.folder).free
        if required > free:
            raise OSError(
                f"{self.folder}: the missing demonstrations require about {required / 1e9:.1f} GB, "
                f"but only {free / 1e9:.1f} GB are free; name a folder on a larger disk with "
                "--demonstrations, or collect fewer with --episodes-per-round"
            )

    def episodes(self, name: str) -> np.ndarray:
        """Return the indices (K,) of the episodes of a part."""
        self._open(name)
        return self._episodes[name]

    def lengths(self, name: str) -> np.ndarray:
        """Return the numbers of steps (K,) of the demonstrations of a part."""
        self._open(name)
        return np.diff(self._offsets[name])

    def read(self, name: str, row: int) -> Demonstration:
        """Return a demonstration of a part."""
        self._open(name)
        start, end = self._offsets[name][row : row + 2]
        with safe_open(self._path(name), framework="numpy") as file:
            parts = {
                field: file.get_slice(field)[int(start) : int(end)]
                for field in ("rgb", "depth", "previous", "labels", "progress")
            }
        return Demonstration(int(self._episodes[name][row]), **parts)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _open(self, name: str) -> None:
        if name in self._offsets:
            return
        path = self._path(name)
        hint = f"remove {self.folder}, and they are collected again, or name another folder"
        try:
            with safe_open(path, framework="numpy") as file:
                key = (file.metadata() or {}).get(_KEY)
                if key != self._key:
                    raise UserError(f"{path}: demonstrations of other settings; {hint}")
                self._episodes[name] = file.get_tensor("episodes")
                self._offsets[name] = file.get_tensor("offsets")
        except SafetensorError as error:
            raise UserError(f"{path}: damaged ({error}); {hint}") from error


class _Entry(NamedTuple):
    """A demonstration on disk, with its number of steps and the episode that it serves."""

    store: DemonstrationStore
    name: str
    row: int
    steps: int
    episode: int


class Collector:
    """Collects the demonstrations of a run, round by round, and draws from them."""

    def __init__(
        self,
        config: ContinuousTrainConfig,
        env: ContinuousVectorEnv,
        features: FrozenFeatures,
        folder: Path,
        key: dict[str, str],
    ) -> None:
        self._config, self._env, self._features = config, env, features
        self._expert = DemonstrationStore(folder, key)
        self._own: DemonstrationStore | None = None
        self._check: Callable[[], None] = never
        self._key = key
        self._rounds: list[list[_Entry]] = []
        self._of_path: dict[tuple[str, int], list[int]] = {}
        for number, episode in enumerate(env.episodes):
            self._of_path.setdefault((episode.scan, episode.path_id), []).append(number)

    def start(self, run: Path, check: Callable[[], None] = never) -> None:
        """Begin a run."""
        self._check = check
        key = self._key | {"seed": str(self._config.seed)}
        self._own = DemonstrationStore(run / DEMONSTRATIONS, key)

    def collect(self, number: int, network: ContinuousNetwork) -> None:
        """Collect what is missing of the rounds up to `number`; a bar shows the progress."""
        while len(self._rounds) <= number:
            current = len(self._rounds)
            self._rounds.append(self._round(current, network))

    def draw(self, rng: np.random.Generator, count: int) -> list[Demonstration]:
        """Draw different demonstrations of all rounds so far, which have similar lengths.

        All demonstrations are equally likely. A walk of the expert serves every instruction of its
        path.
        """
        entries = [entry for entries in self._rounds for entry in entries]
        batches = max(1, min(_POOL, len(entries) // count))
        pool = rng.choice(len(entries), size=min(batches * count, len(entries)), replace=False)
        if batches > 1:  # a batch is padded to its longest walk
            pool = pool[np.argsort([entries[int(k)].steps for k in pool], kind="stable")]
            pool = pool.reshape(batches, count)[rng.integers(batches)]
        return [
            replace(entry.store.read(entry.name, entry.row), episode=entry.episode)
            for entry in (entries[int(k)] for k in pool)
        ]

    def _round(self, number: int, network: ContinuousNetwork) -> list[_Entry]:
        """Collect a round and return its demonstrations with their episodes."""
        store = self._expert if number == 0 else self._own
        assert store is not None, "start(run) comes first"
        entries: list[_Entry] = []
        parts = list(self._parts(number))
        total = sum(len(episodes) for _, episodes in parts)
        label = "demonstrations, " + ("expert" if number == 0 else f"round {number}")
        missing = sum(len(episodes) for name, episodes in parts if not store.has(name))
        if missing:
            tqdm.write(
                f"{label}: {missing} walks are collected before the next iteration, and kept in "
                f"{store.folder}",
                sys.stderr,
            )
        with progress_bar(total=total, desc=label, unit="walk") as bar:
            for k, (name, episodes) in enumerate(parts):
                self._fill(store, number, name, episodes, network)
                if k == 0:
                    store.check_disk_space([other for other, _ in parts])
                bar.update(len(episodes))
                lengths = store.lengths(name).tolist()
                for row, episode in enumerate(store.episodes(name).tolist()):
                    if lengths[row] > (self._config.max_walk_length or lengths[row]):
                        continue
                    serves = self._instructions(episode) if number == 0 else [episode]
                    entries += [_Entry(store, name, row, lengths[row], other) for other in serves]
        if number == 0 and not entries:
            raise UserError(
                f"--max-walk-length {self._config.max_walk_length}: all walks are longer"
            )
        return entries

    def _instructions(self, episode: int) -> list[int]:
        """Return the episodes whose instructions describe the path of an episode."""
        first = self._env.episodes[episode]
        return self._of_path[first.scan, first.path_id]

    def _fill(
        self,
        store: DemonstrationStore,
        number: int,
        name: str,
        episodes: Sequence[int],
        network: ContinuousNetwork,
    ) -> None:
        """Collect a part if it is missing; runs that share it wait for each other."""
        if store.has(name):
            return
        store.folder.mkdir(parents=True, exist_ok=True)
        with waiting_lock(store.folder / name):
            if not store.has(name):
                config = self._config
                part = int(name.split("-")[-2])
                seed = iteration_seed(config.seed, Stream.DAGGER_ACTIONS, 100_000 * number + part)
                beta = config.expert_probability**number
                was_training = network.training
                network.eval()
                walks = collect_walks(
                    self._env,
                    self._features,
                    network if number else None,
                    episodes,
                    beta,
                    seed,
                    config.use_instructions,
                    self._check,
                )
                network.train(was_training)
                store.write(name, walks)

    def _parts(self, number: int) -> Iterator[tuple[str, list[int]]]:
        """Yield names and episodes of the parts of a round."""
        config, size = self._config, self._config.collect_batch_size
        if number == 0:
            firsts = [numbers[0] for numbers in self._of_path.values()]
            order = np.random.default_rng(_ORDER).permutation(len(firsts))
            chosen = [firsts[int(k)] for k in order[: config.episodes_per_round]]
        else:
            rng = Stream.DAGGER_EPISODES.rng(config.seed, number)
            order = rng.permutation(len(self._env.episodes))
            chosen = [int(k) for k in order[: config.episodes_per_round]]
        parts = [chosen[k : k + size] for k in range(0, len(chosen), size)]
        prefix = "expert" if number == 0 else f"round-{number:02d}"
        for k, part in enumerate(parts):
            yield f"{prefix}-{size}-{k:05d}-{len(part)}", part


def collect_walks(
    env: ContinuousVectorEnv,
    features: FrozenFeatures,
    network: ContinuousNetwork | None,
    episodes: Sequence[int],
    expert_probability: float,
    seed: int,
    use_instructions: bool = True,
    check: Callable[[], None] = never,
) -> list[Demonstration]:
    """Collect DAgger episodes, whose steps are all labelled with the expert's action.

    Args:
        expert_probability: Probability at each step that the expert acts; otherwise an action of
            the policy is sampled.
    """
    size, count = env.num_envs, len(episodes)
    ids = [env.episodes[number].instr_id for number in episodes]
    open_buildings(env, episodes, check)
    observation, info, active = start_episodes(env, ids)
    rng, walker = np.random.default_rng(seed), None
    if network is not None:
        generator = torch.Generator().manual_seed(seed)
        walker = NetworkWalker(network, features, use_instructions, generator)
        walker.start(observation, info)
    first = np.maximum(info["distance_to_goal"], 1e-6)
    steps: list[list[tuple[object, ...]]] = [[] for _ in range(count)]
    previous = np.zeros(size, int)
    while active.size:
        check()
        labels, distances = info["teacher_action"], info["distance_to_goal"]
        actions = np.full(size, STOP)
        if walker is None:
            seen = features.of(observation, active)
            actions[active] = labels[active]
        else:
            sampled = walker.act(observation, info, active)
            seen = walker.seen
            leads = rng.random(size) < expert_probability
            actions[active] = np.where(leads, labels, sampled)[active]
            walker.follow(actions)
        progress = np.where(np.isfinite(distances), 1 - distances / first, 0.0)
        for k, agent in enumerate(active):
            step = seen.rgb[k], seen.depth[k], previous[agent], labels[agent], progress[agent]
            steps[agent].append(step)
        previous = actions + 1
        observation, _, terminated, truncated, info = env.step(actions)
        active = active[~(terminated | truncated)[active]]
    kinds = np.float16, np.float16, np.int8, np.int8, np.float32
    return [
        Demonstration(
            number,
            *(
                np.array(part, kind)
                for part, kind in zip(zip(*walk, strict=True), kinds, strict=True)
            ),
        )
        for number, walk in zip(episodes, steps, strict=True)
    ]
