"""The command `clipnav train-waypoint-predictor` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-waypoint-predictor", *sys.argv[1:]]))
