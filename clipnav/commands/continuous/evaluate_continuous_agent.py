"""Evaluate the agent of a continuous run on one or more splits.

$ clipnav evaluate-continuous-agent runs/r2r-ce-houses-cma-dagger --splits val_seen val_unseen
$ clipnav evaluate-continuous-agent runs/r2r-ce-houses-cma-dagger --episodes 96 --no-baselines
$ clipnav evaluate-continuous-agent runs/r2r-ce-houses-cma-dagger --submission predictions.json

The agent takes the most probable action at each step. The command prints its scores, and those of
the expert and of VLN-CE's non-learning agents. clipnav evaluate-submission scores the file that
option --submission writes, with intervals.
"""

from collections.abc import Sequence

from clipnav.agents.continuous.settings import EvaluateContinuousConfig
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and evaluate."""
    config = parse(EvaluateContinuousConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.continuous.evaluation import evaluate_continuous_run

    evaluate_continuous_run(config)
