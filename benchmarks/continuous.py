"""Speed of continuous environments: floors, geodesic distances, experts and pictures."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import tyro
from measuring import BenchmarkConfig, Figure, peak_memory, rate, report

from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import load_continuous_split, split_of_episodes
from clipnav.envs.continuous.experts import reference_walks
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import FORWARD, R2R_CE, task_settings

STEPS = 20  # between two readings of the clock
_GOALS = 20
# Target rates per CPU second at batch size 64.
STEP_BAR, _ACTION_BAR, _FRAME_BAR = 20_000, 1_500, 50


@dataclass(frozen=True)
class ContinuousConfig(BenchmarkConfig):
    """Measure the speed of continuous navigation in one built-in house."""

    scan: str = "house_26"
    """House of the set mini with episodes of val_unseen."""
    batch_sizes: tuple[int, ...] = (1, 64)
    """Batch sizes to measure."""
    seconds: float = 3.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed for positions, headings and episodes."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(ContinuousConfig)
    began = time.process_time()
    floor = HouseSimulator(R2R_CE).floor(config.scan)
    figures = [Figure("floor of a house", time.process_time() - began, "CPU seconds")]
    figures += _floor_figures(config, floor)
    figures.append(_expert_figure(config, floor))
    figures += _environment_figures(config)
    figures.append(Figure("peak memory", peak_memory(), "MiB"))
    report("continuous", figures, config.json)


def _floor_figures(config: ContinuousConfig, floor: ContinuousFloor) -> list[Figure]:
    """Measure movement, fields of goals and the look-up of distances."""
    rng, figures = np.random.default_rng(config.seed), []
    nodes = floor.graph.positions
    for size in config.batch_sizes:
        start = nodes[rng.integers(len(nodes), size=size)]
        for sliding in (True, False):
            work = partial(_walk, floor, start, rng, sliding)
            name = f"movement {'with' if sliding else 'without'} sliding, batch {size}"
            steps = rate(work, STEPS * size, _seconds(config))
            figures.append(Figure(name, steps, "steps per CPU second"))
        goals = nodes[rng.integers(len(nodes), size=size)]
        looked_up = rate(partial(floor.distances, start, goals), size, _seconds(config))
        figures.append(Figure(f"known goals, batch {size}", looked_up, "distances per CPU second"))
    fields = rate(partial(_new_goals, floor, rng), _GOALS, _seconds(config))
    return [*figures, Figure("new goals", fields, "fields per CPU second")]


def _walk(
    floor: ContinuousFloor, start: np.ndarray, rng: np.random.Generator, sliding: bool
) -> None:
    """Walk at random."""
    positions, headings = start, rng.uniform(0, 2 * np.pi, len(start))
    for _ in range(STEPS):
        headings = headings + rng.uniform(-0.5, 0.5, len(start))
        positions, _ = floor.step(positions, headings, R2R_CE.step_size, sliding)


def _new_goals(floor: ContinuousFloor, rng: np.random.Generator) -> None:
    """Measure distances to goals that are not cached."""
    nodes = floor.graph.positions
    for _ in range(_GOALS):
        goal = nodes[rng.integers(len(nodes))] + [*rng.uniform(-0.01, 0.01, 2), 0.0]
        floor.distances(nodes[:1], goal)


def _expert_figure(config: ContinuousConfig, floor: ContinuousFloor) -> Figure:
    """Measure the expert on the paths of the house's episodes, fields of their nodes included."""
    split = load_continuous_split(dataset="r2r", split="val_unseen")
    paths = {e.path_id: e for e in split.episodes if e.scan == config.scan}
    episodes = list(paths.values())[: 2 if config.quick else None]
    nodes = [np.array(episode.reference_path) for episode in episodes]
    headings = np.array([episode.heading for episode in episodes])
    began = time.process_time()
    walks = reference_walks(floor, nodes, headings, R2R_CE)
    spent = time.process_time() - began
    actions = sum(len(walk.actions) for walk in walks)
    return Figure("expert", actions / spent, "actions per CPU second", _ACTION_BAR)


def _environment_figures(config: ContinuousConfig) -> list[Figure]:
    """Measure `env.step` without pictures and with those of R2R-CE."""
    figures, whole = [], load_continuous_split("r2r", "val_unseen")
    episodes = [episode for episode in whole.episodes if episode.scan == config.scan]
    length = whole.max_instruction_length
    split = split_of_episodes("r2r", episodes, whole.tokenizer, length)
    for size in config.batch_sizes:
        for observe, bar in (((), STEP_BAR), (("rgb", "depth"), _FRAME_BAR)):
            if observe and config.quick:
                continue
            settings = task_settings("r2r", observe=observe, teacher="none")
            env = ContinuousVectorEnv(split, HouseSimulator(settings), size, settings)
            work, steps = _stepping(config, env, 1 if observe else STEPS)
            name = f"environment {'with' if observe else 'without'} pictures, batch {size}"
            value = rate(work, steps * size, _seconds(config))
            bar = bar if size == 64 else None
            figures.append(Figure(name, value, "steps per CPU second", bar))
    return figures


def _stepping(
    config: ContinuousConfig, env: ContinuousVectorEnv, steps: int
) -> tuple[Callable[[], None], int]:
    """Return a function that takes random steps, mostly forward, and their number."""
    rng = np.random.default_rng(config.seed)
    env.reset(seed=config.seed)
    count = env.num_envs

    def work() -> None:
        for _ in range(steps):
            env.step(np.where(rng.random(count) < 0.63, FORWARD, rng.integers(2, 4, count)))

    return work, steps


def _seconds(config: ContinuousConfig) -> float:
    return 0.02 if config.quick else config.seconds


if __name__ == "__main__":
    main()
