"""The command `clipnav split-questions` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["split-questions", *sys.argv[1:]]))
