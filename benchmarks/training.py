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

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from arithmetic import floating_point_operations, product_rate
from measuring import (
    BenchmarkConfig,
    Figure,
    in_turns,
    multiple_figures,
    peak_memory,
    rate,
    report,
)
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
_ITERATION_MULTIPLE, _EVALUATION_MULTIPLE = 3.2, 3  # targets
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
        config, sizes = replace(config, seconds=0.01, trained=1), (4, 2)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        run = random_run(
            config.data_dir, config.seed, config.width, Path(folder, "features.safetensors")
        )
        products = product_rate(config.seconds)
        figures.append(Figure("large matrix product", products / 1e9, "GFLOP/CPU s"))
        settings = SETTINGS[config.setting]
        memory = 0.0
        for size in sizes:
            for setting in settings:
                torch.manual_seed(config.seed)
                learner = FollowerLearner(with_setting(replace(run, batch_size=size), setting))
                iterate = weight_updates(learner, config.trained)
                memory = memory or peak_memory()  # before a baseline needs any
                plain = _plain_updates(run, setting, size, config)
                name = _iteration_name(size, setting)
                figures += _iterations(name, learner, iterate, plain, products, config)
        figures.append(Figure("peak memory of training", memory, "MiB", 1000, at_most=True))
        figures.append(_reduced_precision(run, settings[-1], sizes[0], config))
        figures += _evaluations(run, sizes[0], config)
    report("training", figures, config.json)


def _iterations(
    name: str,
    learner: FollowerLearner,
    iterate: Callable[[], None],
    plain: Callable[[], None],
    products: float,
    config: TrainingConfig,
) -> list[Figure]:
    """Measure weight updates by imitation and reinforcement, their bound and the baseline's."""
    spent, baseline = in_turns([iterate, plain], 2 * config.seconds).T
    iterate = weight_updates(learner)
    counted = range(1 if config.quick else 4)  # batches differ
    operations = [floating_point_operations(learner.network, iterate) for _ in counted]
    bound = float(np.mean(operations)) / products
    seconds = float(np.median(spent))
    return [
        Figure(name, seconds, "CPU s"),
        Figure(f"{name}, baseline", float(np.median(baseline)), "CPU s"),
        *multiple_figures(name, baseline, spent, _ITERATION_MULTIPLE),
        Figure(f"{name}: bound", bound, "CPU s"),
        Figure(f"{name}: multiple of the bound", seconds / bound, ""),
    ]


def _reduced_precision(
    run: TrainConfig, setting: Setting, size: int, config: TrainingConfig
) -> Figure:
    """Measure the same update with products in bfloat16."""
    torch.manual_seed(config.seed)
    settings = replace(run, batch_size=size, precision="bf16")
    iterate = weight_updates(FollowerLearner(with_setting(settings, setting)), config.trained)
    return Figure(
        f"{_iteration_name(size, setting)}, bf16", 1 / rate(iterate, 1, config.seconds), "CPU s"
    )


def _evaluations(settings: TrainConfig, size: int, config: TrainingConfig) -> list[Figure]:
    """Measure the same scripted walks of a whole split by both implementations."""
    learner = FollowerLearner(replace(settings, evaluation_batch_size=size))
    learner.network.eval()
    env = learner.evaluation_envs["val_unseen"]
    batches = _batches(env, size)
    walker = ScriptedAgent(learner.agent("val_unseen"), config.seed)
    plain_agent = PlainAgent(baseline_env(settings, size, "val_unseen"))

    def evaluate() -> None:
        for ids in batches:
            walk(env, walker, ids)

    def plain() -> None:
        for ids in batches:
            rng = np.random.default_rng(config.seed)
            plain_agent.evaluate(ids, lambda seen, *_, rng=rng: scripted(rng, seen))

    with torch.inference_mode():
        spent, baseline = in_turns([evaluate, plain], 2 * config.seconds).T
    walks = sum(map(len, batches))
    return [
        Figure(_WALKS, walks / float(np.median(spent)), "/CPU s"),
        Figure(f"{_WALKS}, baseline", walks / float(np.median(baseline)), "/CPU s"),
        *multiple_figures(_WALKS, baseline, spent, _EVALUATION_MULTIPLE),
    ]


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


def _plain_updates(
    run: TrainConfig, setting: Setting, size: int, config: TrainingConfig
) -> Callable[[], None]:
    """Train the baseline for some iterations; return a function that runs further ones."""
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
    return iterate


if __name__ == "__main__":
    main()
