"""Train a language representation by contrasting instructions of the same path (CLEAR).

$ clipnav train-language-representation
$ clipnav train-language-representation --languages en hi --output runs/en-hi
$ clipnav train-language-representation --encoder.tokens pretrained --encoder.model FOLDER
$ clipnav train-language-representation --preset clear --world matterport --data-dir data
$ clipnav train-language-representation --resume runs/language-rxr-houses

The command prints how often an instruction retrieves the instruction of its path in another
language, with the trained and with the initial weights. The run is used by
clipnav train-agent --language-representation.
"""

from collections.abc import Sequence

from clipnav.agents.clear.settings import parse_language


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_language(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.clear.training import train

    train(config)
