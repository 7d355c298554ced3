"""The command `clipnav pull` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["pull", *sys.argv[1:]]))
