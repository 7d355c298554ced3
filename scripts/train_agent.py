"""The command `clipnav train-agent` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-agent", *sys.argv[1:]]))
