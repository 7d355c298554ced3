"""Train a network that predicts waypoints from depth pictures, in the built-in houses.

$ clipnav train-waypoint-predictor
$ clipnav train-waypoint-predictor --minutes 10 --seed 1 --output runs/waypoint-predictor
$ clipnav train-waypoint-predictor --depth-weights gibson-2plus-resnet50.pth
$ clipnav train-waypoint-predictor --resume runs/waypoint-predictor

The network of Hong et al. (CVPR 2022) learns where a viewpoint has neighbours in the navigation
graph. The command prints how well its waypoints agree with the neighbours in the houses of the
training and in others, beside waypoints computed from the floor, random ones, and the targets.
clipnav evaluate-waypoint-agent --waypoints predicted lets agents walk among them.
"""

from collections.abc import Sequence

from clipnav.agents.waypoints.settings import parse_predictor


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_predictor(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.waypoints.predictor_training import train_predictor

    train_predictor(config)
