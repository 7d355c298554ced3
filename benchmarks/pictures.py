"""Speed of picture observations, from panoramas that are cached on disk and in memory.

The first observation of a viewpoint renders its panorama, which is measured separately.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from measuring import BenchmarkConfig, Figure, peak_memory, report

from clipnav.envs.navigation.settings import PICTURES
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.envs.pictures.view_pictures import MEMORY
from clipnav.envs.pictures.world_pictures import world_pictures
from clipnav.envs.worlds import world_files

BARS = {("candidate_rgb", 224): 100.0}  # CPU milliseconds per decision


@dataclass(frozen=True)
class PicturesConfig(BenchmarkConfig):
    """Measure the CPU time of an observation of pictures, in one thread."""

    data_dir: Path | None = None
    """Folder of Matterport3D's graphs, annotations and skyboxes; the built-in houses by default."""
    split: str = "val_unseen"
    """Split whose episodes the teacher walks."""
    agents: int = 8
    """Number of agents in the batch."""
    steps: int = 12
    """Number of steps of the batch."""
    image_sizes: tuple[int, ...] = (224, 480)
    """Heights and widths of pictures in pixels."""
    seed: int = 0
    """Random seed for episodes."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(PicturesConfig)
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch, which is imported later
    figures = []
    for size in config.image_sizes[:1] if config.quick else config.image_sizes:
        for observe in PICTURES[2:3] if config.quick else PICTURES:
            figures += _observation_figures(config, observe, size)
    figures.append(Figure("decoded panoramas in memory", MEMORY / 2**20, "MiB at most"))
    figures.append(Figure("peak memory", peak_memory(), "MiB"))
    report("pictures", figures, config.json)


def _observation_figures(config: PicturesConfig, observe: str, size: int) -> list[Figure]:
    """Walk the same episodes three times: to render panoramas, from the disk, and from memory."""
    agents, steps = (1, 1) if config.quick else (config.agents, config.steps)
    world = "matterport" if config.data_dir else "houses"

    def make() -> VlnVectorEnv:
        # Each source of panoramas is new, so the environments share no decoded ones.
        return make_vln_vector_env(
            agents,
            world=world,
            data_dir=config.data_dir,
            split=config.split,
            observe=observe,
            image_size=size,
            pictures=world_pictures(world_files(world, config.data_dir)),
            autoreset_mode="Disabled",
        )

    _walk(make(), agents, steps, config.seed)
    env = make()
    return [
        Figure(
            f"{observe}, {size} x {size}, panoramas {place}",
            _walk(env, agents, steps, config.seed),
            "CPU ms per decision",
            BARS.get((observe, size)),
            at_most=True,
        )
        for place in ("on disk", "in memory")
    ]


def _walk(env: VlnVectorEnv, agents: int, steps: int, seed: int) -> float:
    """Return the CPU milliseconds per observation of one agent along the teacher's paths."""
    start, decisions = time.process_time(), 0
    env.reset(seed=seed)
    for _ in range(steps):
        actions = env.teacher_actions()
        decisions += int((actions != 0).sum())
        env.step(actions)
    return 1000 * (time.process_time() - start) / (decisions + agents)


if __name__ == "__main__":
    main()
