"""Train a visual representation by contrasting paired paths in different buildings (CLEAR).

$ clipnav train-visual-representation --pairs runs/pairs
$ clipnav train-visual-representation --pairs runs/pairs --no-object-constraint
$ clipnav train-visual-representation --pairs PAIRS --preset clear --features vit.safetensors
$ clipnav train-visual-representation --resume runs/visual-rxr-houses

clipnav pair-paths writes the folder of --pairs. The command prints how often a panorama retrieves
its counterpart, with the representation and with the features themselves. The run is used by
clipnav train-agent --visual-representation.
"""

from collections.abc import Sequence

from clipnav.agents.clear.settings import parse_visual


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_visual(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.clear.training import train

    train(config)
