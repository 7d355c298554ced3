"""Evaluate the follower of a run on a split.

evaluate_agent.py runs/r2r-houses --split val_unseen
evaluate_agent.py runs/r2r-matterport --split test --submission test.json
"""

import tyro

from agents.command_line import EvaluateConfig


def main() -> None:
    """Parse the command line and evaluate."""
    config = tyro.cli(EvaluateConfig)
    # Imported here so that --help answers without loading torch.
    from agents.submission import evaluate_run

    evaluate_run(config)


if __name__ == "__main__":
    main()
