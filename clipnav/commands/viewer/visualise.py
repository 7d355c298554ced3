"""Show what agents see: a page with panoramas, attention, map and metrics of every episode.

$ clipnav visualise runs/demo
$ clipnav visualise runs/one runs/other           # two agents side by side
$ clipnav visualise mine.json --dataset r2r --split val_unseen --data-dir data
$ clipnav visualise                               # walk by hand
$ clipnav visualise --environment continuous      # walk with the arrow keys
$ clipnav visualise runs/demo --episode 32000_0 --export episode.html --video episode.mp4
"""

from collections.abc import Sequence

from clipnav.commands.viewer.visualise_config import VisualiseConfig
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(VisualiseConfig, __name__, __doc__, arguments)
    from clipnav.commands.viewer.episode_viewer import visualise

    visualise(config)
