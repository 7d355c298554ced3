"""The command `clipnav train-speaker` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-speaker", *sys.argv[1:]]))
