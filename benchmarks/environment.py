"""Speed of loading and stepping environments, and its share of the memory bandwidth.

`--original DIR` also runs the environment of the user's clone of R2R-EnvDrop, and the functions of
its agent that turn agents and make arrays, in turns with "features, copied". It has clipnav's
simulator, which is faster than its own.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import tyro
from measuring import BenchmarkConfig, Figure, in_turns, multiple_figures, peak_memory, rate, report
from original_envdrop import EnvDrop, Teacher

from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.observations import Observe
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.envs.worlds import WorldFiles, world_files
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.store_file import feature_key
from clipnav.storage.features.view_grid import NUM_VIEWS

STEPS = 20  # between two readings of the clock
UNIT = "environment steps per CPU second"
# Target rates by kind of observation and batch size.
BARS = {("features", 64): 50_000, ("indices", 64): 400_000, ("indices", 512): 2_000_000}
# Batch sizes of the comparison with the original, and target multiples of its rate.
_MULTIPLES = {1: 1.5, 8: 4.0, 64: 6.0}


@dataclass(frozen=True)
class EnvironmentConfig(BenchmarkConfig):
    """Measure the speed of environments whose agents follow the teacher."""

    data_dir: Path | None = None
    """Folder of Matterport3D's graphs and R2R's annotations; the built-in houses by default."""
    original: Path | None = None
    """Clone of R2R-EnvDrop to compare with; requires --data-dir."""
    width: int = 512
    """Width of a view's features, which are random."""
    angle_feature_size: int = 128
    """Width of angle features."""
    batch_sizes: tuple[int, ...] = (1, 8, 64, 512)
    """Batch sizes to measure; the original is measured at 1, 8 and 64 of them."""
    seconds: float = 3.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed for features and episodes."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(EnvironmentConfig)
    files = world_files("matterport" if config.data_dir else "houses", config.data_dir)
    with tempfile.TemporaryDirectory() as folder:
        figures = _start_up_figures(files, Path(folder))
        store = _random_store(config, files, Path(folder) / "features.safetensors")
        figures += _step_figures(config, files, store)
        figures.append(_single_figure(config, files, store))
        figures += _gather_figures(config, files, store)
        figures.append(Figure("peak memory", peak_memory(), "MiB"))
        if config.original is not None:
            figures += _original_figures(
                config, files, config.original, store, Path(folder) / "original"
            )
    report("environment", figures, config.json)


def _start_up_figures(files: WorldFiles, folder: Path) -> list[Figure]:
    """Measure the CPU seconds to load all graphs, with an empty and with a filled cache."""
    import safetensors.numpy  # noqa: F401  (imports are not measured)
    import scipy.sparse.csgraph  # noqa: F401
    import torch  # noqa: F401

    kept = os.environ.get("CLIPNAV_CACHE")
    os.environ["CLIPNAV_CACHE"] = str(folder / "cache")
    figures = []
    for name, bar in (("without a cache", 3.0), ("from the cache", 0.3)):
        # Graphs of a folder stay in memory once they are read, so a copy is read.
        copy = shutil.copytree(files.connectivity_dir, folder / name)
        suffix = "_connectivity.json"
        scans = sorted(path.name.removesuffix(suffix) for path in copy.glob(f"*{suffix}"))
        began = time.process_time()
        NavWorld.load(scans, copy)
        spent = time.process_time() - began
        label = f"loading {len(scans)} graphs {name}"
        figures.append(Figure(label, spent, "CPU seconds", bar, at_most=True))
    if kept is None:
        del os.environ["CLIPNAV_CACHE"]
    else:
        os.environ["CLIPNAV_CACHE"] = kept
    return figures


def _make_env(
    config: EnvironmentConfig,
    files: WorldFiles,
    batch_size: int,
    features: str,
    observe: Observe = "features",
    copy: bool = True,
) -> VlnVectorEnv:
    return make_vln_vector_env(
        batch_size,
        world=files.world,
        data_dir=config.data_dir,
        features=features,
        angle_feature_size=config.angle_feature_size,
        observe=observe,
        copy=copy,
    )


def _random_store(config: EnvironmentConfig, files: WorldFiles, path: Path) -> str:
    """Write random features of all viewpoints in the scans of the training episodes."""
    world = _make_env(config, files, 1, "none").nav_world
    names = zip(world.scan_names, world.viewpoint_ids, strict=True)
    keys = [feature_key(scan, viewpoint) for scan, viewpoint in names]
    rng = np.random.default_rng(config.seed)
    shape = NUM_VIEWS, 16 if config.quick else config.width
    views = (rng.standard_normal(shape, dtype=np.float32) for _ in keys)
    FeatureStore.write(path, views, keys, {"encoder": "random numbers"})
    return str(path)


def _step_figures(config: EnvironmentConfig, files: WorldFiles, store: str) -> list[Figure]:
    kinds: list[tuple[str, str, Observe]] = [
        ("features", store, "features"),
        ("directions only", "none", "features"),
        ("indices", store, "indices"),
    ]
    figures = []
    for size in config.batch_sizes:
        for name, features, observe in kinds:
            for copy in (True, False):
                began = time.process_time()
                env = _make_env(config, files, size, features, observe, copy)
                spent = time.process_time() - began
                steps = rate(_stepping(config, env), STEPS * size, _seconds(config))
                label = f"{name}, batch {size}, {'copied' if copy else 'reused'}"
                figures.append(Figure(label, steps, UNIT, BARS.get((name, size))))
                if name == "features" and copy:
                    figures.append(Figure(f"creation with batch {size}", spent, "CPU seconds"))
                if name == "features" and not copy:
                    figures.append(_bandwidth_figure(config, env, size, steps))
    return figures


def _stepping(config: EnvironmentConfig, env: VlnVectorEnv) -> Callable[[], None]:
    """Return a function that steps along the teacher's path, episode after episode."""
    _, info = env.reset(seed=config.seed)
    actions = info["teacher_action"]

    def work() -> None:
        nonlocal actions
        for _ in range(STEPS):
            actions = env.step(actions)[-1]["teacher_action"]

    return work


def _single_figure(config: EnvironmentConfig, files: WorldFiles, store: str) -> Figure:
    """Measure the environment of one agent that `gymnasium.make` returns."""
    env = gymnasium.make(
        "R2R-CLIP-v0",
        world=files.world,
        data_dir=config.data_dir,
        features=store,
        angle_feature_size=config.angle_feature_size,
    )
    _, info = env.reset(seed=config.seed)

    def work() -> None:
        nonlocal info
        for _ in range(STEPS):
            *_, terminated, truncated, info = env.step(info["teacher_action"])
            if terminated or truncated:
                _, info = env.reset()

    steps = rate(work, STEPS, _seconds(config))
    return Figure("features, gymnasium.make", steps, UNIT)


def _bandwidth_figure(
    config: EnvironmentConfig, env: VlnVectorEnv, size: int, steps: float
) -> Figure:
    """Compare the bytes moved by reading and writing features with those of a large copy."""
    assert env.feature_store is not None
    observation, _ = env.reset(seed=config.seed)
    written = observation["panorama"].nbytes + observation["candidates"].nbytes
    moved = written / size + 2 * NUM_VIEWS * env.feature_store.width
    megabytes = 4 if config.quick else 256
    source = np.ones(megabytes * 2**20, dtype=np.uint8)
    copy = partial(np.copyto, np.empty_like(source), source)
    copied = rate(copy, 2 * source.nbytes, _seconds(config))
    name = f"features, batch {size}, reused: share of a copy's bandwidth"
    return Figure(name, 100 * steps * moved / copied, "%")


def _original_figures(
    config: EnvironmentConfig, files: WorldFiles, clone: Path, store: str, workplace: Path
) -> list[Figure]:
    """Compare with the original; both copy features to new arrays."""
    run = TrainConfig(data_dir=config.data_dir, max_episode_steps=35)
    original = EnvDrop(clone, run, _make_env(config, files, 1, store), workplace)
    figures = []
    for size in sorted(_MULTIPLES.keys() & {*config.batch_sizes}):
        env, teacher = _make_env(config, files, size, store), Teacher(original, size)

        def work(teacher: Teacher = teacher) -> None:
            for _ in range(STEPS):
                teacher.step()

        spent, theirs = in_turns([_stepping(config, env), work], 2 * _seconds(config)).T
        label = f"features, batch {size}, copied"
        figures += multiple_figures(label, [theirs], spent, _MULTIPLES[size])
    return figures


def _gather_figures(config: EnvironmentConfig, files: WorldFiles, store: str) -> list[Figure]:
    """Measure the gathering of features by index on each available device."""
    import torch

    figures = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for size in config.batch_sizes:
            env = _make_env(config, files, size, store, "indices")
            features = DeviceFeatures(env, device)
            observation, _ = env.reset(seed=config.seed)
            gather = partial(features.gather, observation["viewpoint"], observation["view"])
            label = f"DeviceFeatures.gather, {device}, batch {size}"
            observations = rate(gather, size, _seconds(config))
            figures.append(Figure(label, observations, "observations per CPU second"))
    return figures


def _seconds(config: EnvironmentConfig) -> float:
    return 0.02 if config.quick else config.seconds


if __name__ == "__main__":
    main()
