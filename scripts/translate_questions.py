"""The command `clipnav make-house-tasks` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["make-house-tasks", *sys.argv[1:]]))
