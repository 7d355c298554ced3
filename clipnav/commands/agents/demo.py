"""Train a follower on the built-in houses, compare it with the baselines, and draw two episodes.

It learns by imitation first, then by rewards as well. The agent has never seen the houses of
val_unseen, whose plans and furniture are new to it. There it walks greedily, and with the search
frontier, which turns back to any viewpoint that it has seen.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agents.settings import EvaluateConfig, SearchConfig
from clipnav.parsing import parse


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """Settings of the demo."""

    output: Path = Path("runs/demo")
    """Folder of the run and its pages; its folder imitation is the run that precedes it. A number
    is appended if the folder exists."""
    iterations: int | None = None
    """Number of weight updates of each of the two runs; those of their presets by default."""
    threads: int = 2
    """Number of CPU threads of torch. Another number changes the figures as much as another seed,
    because it changes the order of sums."""
    seed: int = 0
    """Random seed for weights, data order, dropout and sampled actions."""


def run_demo(config: DemoConfig) -> None:
    """Train, evaluate and write the pages."""
    # Imported here so that --help answers without loading torch.
    from agents.experiments.runs import evaluate_run
    from agents.learning.agent_trainer import make_agent_trainer
    from agents.learning.follower_training import FollowerLearner, train
    from agents.settings.presets import preset
    from training.run_folder import free_folder

    run = free_folder(config.output)
    imitating = run / "imitation"
    chosen = {"seed": config.seed, "threads": config.threads}
    if config.iterations is not None:
        chosen["iterations"] = config.iterations
    settings = preset("r2r", "houses")
    settings = dataclasses.replace(settings, output=imitating, **chosen)
    trainer, _ = make_agent_trainer(FollowerLearner, settings)
    trainer.train()
    settings = preset("r2r", "houses", continued=True)
    train(dataclasses.replace(settings, start_from=imitating, output=run, **chosen))
    evaluation = EvaluateConfig(run, baselines=False, search=SearchConfig("frontier"))
    evaluate_run(evaluation)
    show_outcomes(dataclasses.replace(evaluation, baselines=True))
    print(f"All episodes: {_console_command()} visualise {run}")


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

    from agents.experiments.runs import load_walkers
    from envs.pictures.world_pictures import world_pictures
    from viewer.site.export import export_outcomes
    from viewer.site.library import Library
    from viewer.trace import record_all

    _, env, walkers = load_walkers(config, "val_unseen")
    library = Library(env.files, "r2r")
    instr_ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        for traces in record_all(env, walkers, instr_ids).values():
            library.add(traces)
    pictures, follower = world_pictures(env.files), next(iter(walkers))
    for outcome, page in export_outcomes(config.run, library, pictures, follower).items():
        print(f"Page of a {outcome}: {page}")


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    run_demo(parse(DemoConfig, __name__, __doc__, arguments))
