"""Train a speaker, which generates instructions for paths, for back-translation and search.

$ train_speaker.py --dataset r2r
$ train_speaker.py --dataset r2r --world matterport --data-dir data --features vit_b32.safetensors
$ train_speaker.py --resume runs/speaker-r2r-houses

BLEU on the split --select-by selects the best weights.
"""

from complaints import friendly_errors

import sys

from agents.command_line import parse_speaker


def main() -> None:
    """Parse the command line and train."""
    config = parse_speaker(sys.argv[1:], __doc__)
    # Imported here so that --help answers without loading torch.
    from agents.learning.speaker_training import train_speaker

    train_speaker(config)


if __name__ == "__main__":
    with friendly_errors():
        main()
