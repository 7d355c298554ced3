"""Pre-train a map agent on known paths, before train-agent --agent map --start-from.

$ clipnav pretrain-agent
$ clipnav pretrain-agent --speaker runs/speaker-r2r-houses
$ clipnav pretrain-agent --resume runs/pretrained-map-r2r-houses

The tasks are masked words, the next action at every viewpoint of a path, and the classes of masked
views; each iteration draws one of them. A speaker adds instructions of sampled paths. Dataset,
world and --preset determine the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.agents.duet.settings import parse_pretraining


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_pretraining(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.duet.pretraining_learner import pretrain

    pretrain(config)
