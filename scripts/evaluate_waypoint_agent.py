"""The command `clipnav evaluate-waypoint-agent` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-waypoint-agent", *sys.argv[1:]]))
