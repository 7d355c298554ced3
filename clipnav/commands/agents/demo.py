"""Train a follower on the built-in houses, compare it with baselines, and show two episodes.

It learns by imitation first, then by rewards as well. The agent has never seen the houses of
val_unseen, whose plans and furniture are new to it. There it walks greedily, and with the search
frontier, which turns back to any viewpoint that it has seen. To resume a demo that was stopped, run
the same command again.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.settings import EvaluateConfig, SearchConfig
from clipnav.parsing import parse
from clipnav.training.settings import CONFIG, differences, read_config

if TYPE_CHECKING:
    from clipnav.agents.envdrop.learner import FollowerLearner
    from clipnav.training.trainer import Trainer

_IMITATION = "imitation"  # folder of the first of the two runs


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """Settings of the demo."""

    output: Path = Path("runs/demo")
    """Folder of the run and its pages; its folder imitation is the run that precedes it. A number
    is appended if the folder exists, unless it contains this demo unfinished, which is resumed."""
    iterations: int | None = None
    """Number of weight updates of each of the two runs; those of their presets by default."""
    threads: int = 2
    """Number of CPU threads of torch. Another number changes the figures as much as another seed,
    because it changes the order of sums."""
    seed: int = 0
    """Random seed for weights, data order, dropout and sampled actions."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line; train, evaluate and write the pages."""
    config = parse(DemoConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.envdrop.learner import FollowerLearner
    from clipnav.agents.envdrop.settings import preset
    from clipnav.agents.experiments.runs import evaluate_run
    from clipnav.agents.learning.agent_learner import make_agent_trainer, train_and_compare
    from clipnav.training.checkpoints import TRAINER

    chosen = {"seed": config.seed, "threads": config.threads}
    if config.iterations is not None:
        chosen["iterations"] = config.iterations
    settings = dataclasses.replace(preset("r2r", "houses"), **chosen)
    run = _folder(config.output, settings)

    def trainer_and_learner(settings: TrainConfig) -> "tuple[Trainer, FollowerLearner]":
        assert settings.output is not None
        if (settings.output / TRAINER).is_file():
            settings = dataclasses.replace(settings, resume=settings.output)
        trainer, learner = make_agent_trainer(FollowerLearner, settings)
        trainer.resume_with = "the same command"
        return trainer, learner

    imitating = run / _IMITATION
    if not (run / CONFIG).is_file():
        trainer, _ = trainer_and_learner(dataclasses.replace(settings, output=imitating))
        trainer.train()
    settings = preset("r2r", "houses", continued=True)
    settings = dataclasses.replace(settings, start_from=imitating, output=run, **chosen)
    train_and_compare(*trainer_and_learner(settings))
    evaluation = EvaluateConfig(run, baselines=False, search=SearchConfig("frontier"))
    evaluate_run(evaluation)
    show_outcomes(dataclasses.replace(evaluation, baselines=True))
    print(f"All episodes: {_console_command()} visualise {run}")


def _folder(output: Path, settings: TrainConfig) -> Path:
    """Return the folder of the unfinished demo with these settings, or an unused one."""
    run, number = output, 2
    while run.exists():
        first = run / _IMITATION
        if (first / CONFIG).is_file() and not any(run.glob("*.html")):  # it has no pages yet
            begun = read_config(first, TrainConfig)
            if not differences(begun, settings, ("output", "resume")):
                break
        run, number = output.with_name(f"{output.name}-{number}"), number + 1
    return run


def _console_command() -> str:
    """Return the path of the command clipnav, as `make demo` leaves no environment active."""
    command = Path(sys.executable).with_name("clipnav")
    try:
        return os.path.relpath(command)
    except ValueError:  # on another drive of Windows
        return str(command)


def show_outcomes(config: EvaluateConfig) -> None:
    """Write pages of a success and of a failure of a run, beside what the other agents did."""
    import torch

    from clipnav.agents.experiments.runs import load_walkers
    from clipnav.envs.pictures.world_pictures import world_pictures
    from clipnav.viewer.site.export import export_outcomes
    from clipnav.viewer.site.library import Library
    from clipnav.viewer.trace import record_all

    _, env, walkers = load_walkers(config, "val_unseen")
    library = Library(env.files, "r2r")
    instr_ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        for traces in record_all(env, walkers, instr_ids).values():
            library.add(traces)
    pictures, follower = world_pictures(env.files), next(iter(walkers))
    for outcome, page in export_outcomes(config.run, library, pictures, follower).items():
        print(f"Page of a {outcome}: {page}")
