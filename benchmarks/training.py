"""Speed of training and evaluating followers, compared with the user's clone of R2R-EnvDrop.

clipnav is measured with both settings that affect the speed: the published ones, a feature dropout
mask per element, batches of any lengths and features that are not standardised, and its defaults, a
mask per episode, batches of similar length and standardised features. `--original DIR` also runs
the original files in the published setting, in turns and with the same weights.

The bound of an iteration is the time of its matrix products at the rate of a large product on the
same machine.

The networks have the sizes of the published recipes: 36 views, hidden states of width 512. Features
are random. The follower is trained for a few iterations before it is measured, as an untrained one
rarely stops. CPU seconds of one thread.
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
from original_envdrop import EnvDrop
from training_runs import (
    DEFAULT,
    PUBLISHED,
    Setting,
    keep_weights,
    random_run,
    weight_updates,
    with_setting,
)

from clipnav.agents.acting.evaluation import by_length
from clipnav.agents.acting.rollout import walk
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.training.allocation import keep_freed_memory

_WALKS = "instructions evaluated"
_EVALUATED = 333  # instructions of an evaluation
_ITERATION_MULTIPLE, _EVALUATION_MULTIPLE = 3, 3.5  # targets
SETTINGS = {"published": (PUBLISHED,), "default": (DEFAULT,), "both": (PUBLISHED, DEFAULT)}


@dataclass(frozen=True)
class TrainingConfig(BenchmarkConfig):
    """Measure an iteration of imitation and reinforcement, and an evaluation."""

    data_dir: Path | None = None
    """Folder with matterport/ and r2r/, to use R2R instead of the built-in houses."""
    width: int = 640
    """Width of the visual features of a view, such as 512 (ViT-B/32), 640 (RN50x4) or 2048."""
    setting: Literal["published", "default", "both"] = "both"
    """Settings of clipnav: those of the released code, its defaults, or both."""
    original: Path | None = None
    """Clone of R2R-EnvDrop to compare with; requires --data-dir."""
    trained: int = 60
    """Iterations of the follower before its iterations are measured."""
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
        memory, original = 0.0, None
        for size in sizes:
            for setting in settings:
                torch.manual_seed(config.seed)
                changed = replace(run, batch_size=size, evaluation_batch_size=size)
                learner = FollowerLearner(with_setting(changed, setting))
                iterate, theirs = weight_updates(learner, config.trained), None
                memory = memory or peak_memory()  # before the original needs any
                if config.original is not None and setting == PUBLISHED:
                    if original is None:
                        place = Path(folder, "original")
                        original = EnvDrop(config.original, learner.config, learner.env, place)
                    original.resize(size)
                    original.load_follower(learner.follower, learner.network.critic)
                    keep_weights(original.agent.optimizers)
                    theirs = original.iterate
                name = _iteration_name(size, setting)
                figures += _iterations(name, learner, iterate, theirs, products, config)
                if setting == settings[0]:
                    figures += _evaluations(f"{_WALKS}, batch {size}", learner, original, config)
        figures.append(Figure("peak memory of training", memory, "MiB", 1000, at_most=True))
        figures.append(_reduced_precision(run, settings[-1], sizes[0], config))
    report("training", figures, config.json)


def _iterations(
    name: str,
    learner: FollowerLearner,
    iterate: Callable[[], None],
    theirs: Callable[[], None] | None,
    products: float,
    config: TrainingConfig,
) -> list[Figure]:
    """Measure weight updates by imitation and reinforcement, their bound and the original's."""
    works = [iterate] if theirs is None else [iterate, theirs]
    spent, *original = in_turns(works, len(works) * config.seconds).T
    iterate = weight_updates(learner)
    counted = range(1 if config.quick else 4)  # batches differ
    operations = [floating_point_operations(learner.network, iterate) for _ in counted]
    bound = float(np.mean(operations)) / products
    seconds = float(np.median(spent))
    return [
        Figure(name, seconds, "CPU s"),
        *multiple_figures(name, original, spent, _ITERATION_MULTIPLE),
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


def _evaluations(
    name: str, learner: FollowerLearner, original: EnvDrop | None, config: TrainingConfig
) -> list[Figure]:
    """Measure greedy walks of the same instructions, and compare their paths."""
    learner.network.eval()
    count = 8 if config.quick else _EVALUATED
    env, agent = learner.evaluation_envs["val_unseen"], learner.agent("val_unseen")
    works: list[Callable[[], object]] = []
    theirs: Any = None
    if original is not None:
        theirs = original.environment("val_unseen")
        theirs.data = theirs.data[:count]
        works = [lambda: original.paths(theirs)]
        chosen = {item["instr_id"] for item in theirs.data}
        episodes = [episode for episode in env.episodes if episode.instr_id in chosen]
    else:
        episodes = env.episodes[:count]
    ids = [episode.instr_id for episode in by_length(episodes)]
    batches = [ids[start : start + env.num_envs] for start in range(0, count, env.num_envs)]

    def evaluate() -> dict[str, tuple[str, ...]]:
        paths: dict[str, tuple[str, ...]] = {}
        for batch in batches:
            walk(env, agent, batch)
            paths |= zip(batch, map(tuple, env.paths()), strict=False)
        return paths

    with torch.inference_mode():
        spent, *original_spent = in_turns([evaluate, *works], 2 * config.seconds).T
        figures = [Figure(name, count / float(np.median(spent)), "/CPU s")]
        if original is not None:
            ours, paths = evaluate(), original.paths(theirs)
            same = sum(paths[instr_id] == path for instr_id, path in ours.items())
            figures.append(Figure(f"{name}: greedy paths that differ", count - same, ""))
    learner.network.train()
    return figures + multiple_figures(name, original_spent, spent, _EVALUATION_MULTIPLE)


def _iteration_name(size: int, setting: Setting) -> str:
    return f"iteration, batch {size}, {setting.name}"


if __name__ == "__main__":
    main()
