"""The command `clipnav train-selector` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-selector", *sys.argv[1:]]))
