"""Train a speaker, which generates instructions for paths, for back-translation and search.

$ clipnav train-speaker --dataset r2r
$ clipnav train-speaker --world matterport --data-dir data --features vit.safetensors
$ clipnav train-speaker --resume runs/speaker-r2r-houses

BLEU on the split --select-by selects the best weights.
"""

from collections.abc import Sequence

from clipnav.agents.envdrop.settings import parse_speaker


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_speaker(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.envdrop.speaker_training import train_speaker

    train_speaker(config)
