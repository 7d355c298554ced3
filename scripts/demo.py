"""Train a follower on the built-in houses, compare it with the baselines, and film two episodes.

The agent has never seen the houses of val_unseen, whose plans and furniture are new to it.
"""

import dataclasses
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """What the demo does."""

    output: Path = Path("runs/demo")
    """Folder of the run and the films; a number is appended where it exists."""
    iterations: int | None = None
    """Weight updates; the preset's number by default."""
    threads: int = 2
    """Processor threads of torch. Another number sums in another order and changes the figures a
    little."""
    seed: int = 0
    """Seed of weights, order of episodes and dropout."""


def main(config: DemoConfig) -> None:
    """Train, evaluate and film."""
    # Imported here so that --help answers without loading torch.
    from agents.demonstration import film_outcomes
    from agents.follower_training import train
    from agents.presets import preset
    from storage.runs import free_folder

    settings = preset("r2r", "houses")
    run = free_folder(config.output)
    settings = dataclasses.replace(
        settings,
        output=run,
        seed=config.seed,
        threads=config.threads,
        iterations=config.iterations or settings.iterations,
    )
    train(settings)
    for path in film_outcomes(run, "val_unseen"):
        print(f"Film: {path}")


if __name__ == "__main__":
    from complaints import complaints_in_a_line

    with complaints_in_a_line():
        main(tyro.cli(DemoConfig, description=__doc__))
