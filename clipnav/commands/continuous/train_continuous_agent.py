"""Train an agent for R2R-CE or RxR-CE, without a navigation graph, in the built-in houses.

$ clipnav train-continuous-agent
$ clipnav train-continuous-agent --network.kind seq2seq --network.progress-monitor
$ clipnav train-continuous-agent --rounds 1 --episodes-per-round 640 --iterations 3000
$ clipnav train-continuous-agent --preset cma-dagger
$ clipnav train-continuous-agent --resume runs/r2r-ce-houses-cma-dagger

The agent imitates walks of the expert, which are collected first, with the features of what it
sees. In later rounds the agent also acts itself, and the expert labels its steps (DAgger). The
defaults are a small network for a CPU; --preset has the published settings. The walks are stored,
and an interrupted run continues with --resume. The command prints the scores of the best weights,
of the expert and of VLN-CE's non-learning agents.
"""

from collections.abc import Sequence

from clipnav.agents.continuous.settings import parse_continuous


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_continuous(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.continuous.training import train_continuous

    train_continuous(config)
