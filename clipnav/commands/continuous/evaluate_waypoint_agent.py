r"""Evaluate in continuous episodes an agent that was trained on navigation graphs.

$ clipnav evaluate-waypoint-agent runs/r2r-houses --episodes 100
$ clipnav evaluate-waypoint-agent runs/map --splits val_seen val_unseen --json scores.json
$ clipnav evaluate-waypoint-agent runs/map --waypoints predicted \
    --predictor runs/waypoint-predictor

The agent is not trained again. At each decision it sees the 36 views from its position and chooses
one of up to five places, or stops; a frontier agent or a map agent may also choose any place that
it has seen earlier, and walks back. The places are computed from the floor, or predicted from depth
pictures by a run of clipnav train-waypoint-predictor. The command prints its scores, and those of
the same agent on the navigation graph, on the same episodes.
"""

from collections.abc import Sequence

from clipnav.agents.waypoints.settings import WaypointConfig
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and evaluate."""
    config = parse(WaypointConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.waypoints.evaluation import evaluate_waypoints

    evaluate_waypoints(config)
