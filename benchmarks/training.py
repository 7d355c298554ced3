"""Speed of training and evaluating followers, compared with a baseline implementation.

Both implementations are measured with both settings that affect the speed: the published ones, a
feature dropout mask per element, batches of any lengths and features that are not standardised, and
clipnav's defaults, a mask per episode, batches of similar length and standardised features. The
baseline never standardises.

The bound of an iteration is the time of its matrix products at the rate of a large product on the
same machine.

The networks have the sizes of the published recipes: 36 views, hidden states of width 512. Features
are random. Both implementations are trained for a few iterations before they are measured, as an
untrained follower rarely stops; an evaluation has the same scripted walks of a whole split, in
batches of the same size. CPU seconds of one thread.
"""

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from arithmetic import floating_point_operations, product_rate
from measuring import BenchmarkConfig, Figure, peak_memory, rate, report
from plain_envdrop import PlainAgent
from training_runs import (
    DEFAULT,
    PUBLISHED,
    Setting,
    baseline_env,
    baseline_order,
    keep_weights,
    random_run,
    weight_updates,
    with_setting,
)

from clipnav.agents.acting.evaluation import by_length
from clipnav.agents.acting.rollout import Observation, walk
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.training.allocation import keep_freed_memory

_WALKS = "instructions evaluated"
SETTINGS = {"published": (PUBLISHED,), "default": (DEFAULT,), "both": (PUBLISHED, DEFAULT)}


@dataclass(frozen=True)
class TrainingConfig(BenchmarkConfig):
    """Measure an iteration of imitation and reinforcement, and an evaluation."""

    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, to use R2R instead of the built-in houses."""
    width: int = 640
    """Width of the visual features of a view, such as 512 (ViT-B/32), 640 (RN50x4) or 2048."""
    setting: Literal["published", "default", "both"] = "both"
    """Settings of both implementations: those of the released code, clipnav's defaults, or both."""
    trained: int = 60
    """Iterations of each implementation before its iterations are measured."""
    seconds: float = 20.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed for features, weights and trajectories."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(TrainingConfig)
    torch.set_num_threads(1)
    keep_freed_memory()
    sizes = (64, 8)
    if config.quick:
        config, sizes = dataclasses.replace(config, seconds=0.01, trained=1), (4, 2)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        run = random_run(
            config.data_dir, config.seed, config.width, Path(folder, "features.safetensors")
        )
        products = product_rate(config.seconds)
        figures.append(Figure("large matrix product", products / 1e9, "GFLOP/CPU s"))
        settings = SETTINGS[config.setting]
        cases = [(size, setting) for size in sizes for setting in settings]
        for size, setting in cases:
            figures += _iteration(run, setting, size, config, products)
            if len(figures) == 4:
                memory, name = peak_memory(), f"peak memory of training, {setting.name}"
                figures.append(Figure(name, memory, "MiB", 1000, at_most=True))
        figures += _iteration(run, settings[-1], sizes[0], config, products, "bf16")[:1]
        figures.append(_evaluation(run, sizes[0], config))
        for size, setting in cases:
            figures.append(_plain_iteration(run, setting, size, config))
        figures.append(_plain_evaluation(run, sizes[0], config))
    report("training", figures, config.json)


def _iteration(
    run: TrainConfig,
    setting: Setting,
    size: int,
    config: TrainingConfig,
    products: float,
    precision: str = "fp32",
) -> list[Figure]:
    """Measure one weight update by imitation and reinforcement, its bound and their ratio."""
    torch.manual_seed(config.seed)
    settings = dataclasses.replace(run, batch_size=size, precision=precision)
    learner = FollowerLearner(with_setting(settings, setting))
    iterate = weight_updates(learner, config.trained)
    name = _iteration_name(size, setting) + ("" if precision == "fp32" else f", {precision}")
    seconds = 1 / rate(iterate, 1, config.seconds)
    iterate = weight_updates(learner)
    counted = range(1 if config.quick else 4)  # batches differ
    operations = [floating_point_operations(learner.network, iterate) for _ in counted]
    bound = float(np.mean(operations)) / products
    return [
        Figure(name, seconds, "CPU s"),
        Figure(f"{name}: bound", bound, "CPU s"),
        Figure(f"{name}: multiple of the bound", seconds / bound, ""),
    ]


def _evaluation(settings: TrainConfig, size: int, config: TrainingConfig) -> Figure:
    """Measure scripted walks of a whole split."""
    learner = FollowerLearner(dataclasses.replace(settings, evaluation_batch_size=size))
    learner.network.eval()
    env = learner.evaluation_envs["val_unseen"]
    agent = learner.agent("val_unseen")
    batches = _batches(env, size)
    walker = ScriptedAgent(agent, config.seed)

    def evaluate() -> None:
        for ids in batches:
            walk(env, walker, ids)

    with torch.inference_mode():
        walks = rate(evaluate, sum(map(len, batches)), config.seconds)
    return Figure(_WALKS, walks, "/CPU s")


def _batches(env: VlnVectorEnv, size: int) -> list[list[str]]:
    """Return the full batches of a split, whose instructions have similar length."""
    ids = [episode.instr_id for episode in by_length(env.episodes)]
    return [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)]


class ScriptedAgent:
    """Agent that runs a follower but replaces its actions with those of an untrained one.

    Two implementations are thus measured on the same trajectories. All candidates and STOP are
    equally likely, so most trajectories are short and a few are long.
    """

    def __init__(self, agent: FollowerAgent, seed: int) -> None:
        self._agent, self._seed = agent, seed

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Start new episodes."""
        self._agent.begin(observation, info, live)
        self._rng = np.random.default_rng(self._seed)

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Run the follower on the live rows and return scripted actions."""
        self._agent.act(observation, info, live)
        return scripted(self._rng, observation)[live]


def scripted(rng: np.random.Generator, observation: Observation) -> np.ndarray:
    """Draw actions (B,) of an untrained agent."""
    possible = observation["action_mask"].sum(1)
    return (rng.random(len(possible)) * possible).astype(int)


def _iteration_name(size: int, setting: Setting) -> str:
    return f"iteration, batch {size}, {setting.name}"


def _plain_iteration(
    run: TrainConfig, setting: Setting, size: int, config: TrainingConfig
) -> Figure:
    torch.manual_seed(config.seed)
    env = baseline_env(run, size, "train")
    agent = PlainAgent(env, episode_masks=setting.dropout == "episode")
    order = baseline_order(env, setting, 2 * size, config.seed)

    def iterate() -> None:
        chosen = next(order)
        # Alternating, so that both halves have instructions of the same lengths.
        agent.iterate(chosen[::2], chosen[1::2])

    for _ in range(config.trained):
        iterate()
    keep_weights(agent.optimisers)
    seconds = 1 / rate(iterate, 1, config.seconds)
    return Figure(f"{_iteration_name(size, setting)}, baseline", seconds, "CPU s")


def _plain_evaluation(settings: TrainConfig, size: int, config: TrainingConfig) -> Figure:
    env = baseline_env(settings, size, "val_unseen")
    agent = PlainAgent(env)
    batches = _batches(env, size)

    def evaluate() -> None:
        for ids in batches:
            rng = np.random.default_rng(config.seed)
            agent.evaluate(ids, lambda seen, *_, rng=rng: scripted(rng, seen))

    walks = rate(evaluate, sum(map(len, batches)), config.seconds)
    return Figure(f"{_WALKS}, baseline", walks, "/CPU s")


if __name__ == "__main__":
    main()
