"""The command `clipnav train-captioner` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-captioner", *sys.argv[1:]]))
