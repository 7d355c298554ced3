"""Evaluate in continuous episodes a follower that was trained on navigation graphs.

$ clipnav evaluate-waypoint-agent runs/r2r-houses --episodes 100
$ clipnav evaluate-waypoint-agent runs/r2r-houses --splits val_seen val_unseen --json scores.json

The follower is not trained again. At each decision it sees the 36 views from where it stands and
chooses one of up to five places that a straight walk reaches, or stops. Prints its scores beside
those of the same follower on the navigation graph, on the same episodes.
"""

from collections.abc import Sequence

from agents.continuous.waypoint_settings import WaypointConfig
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and evaluate."""
    config = parse(WaypointConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from agents.continuous.waypoint_evaluation import evaluate_waypoints

    evaluate_waypoints(config)
