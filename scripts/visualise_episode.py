"""See what agents see: a page with panoramas, attention, map and metrics of every episode.

$ visualise_episode.py runs/demo
$ visualise_episode.py runs/one runs/other           # two agents side by side
$ visualise_episode.py mine.json --dataset r2r --split val_unseen --data-dir data
$ visualise_episode.py                               # walk by hand
$ visualise_episode.py runs/demo --episode 32000_0 --export episode.html --video episode.mp4
"""

from complaints import friendly_errors

import tyro

from clipnav.commands.visualise_config import VisualiseConfig


def main() -> None:
    """Parse the command line and run the command."""
    config = tyro.cli(VisualiseConfig, description=__doc__)
    from clipnav.commands.visualise import visualise

    visualise(config)


if __name__ == "__main__":
    with friendly_errors():
        main()
