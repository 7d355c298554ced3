"""The command `clipnav train-visual-representation` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-visual-representation", *sys.argv[1:]]))
