"""The command `clipnav draw-continuous-episode` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["draw-continuous-episode", *sys.argv[1:]]))
