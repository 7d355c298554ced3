"""The command `clipnav compare-agents` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["compare-agents", *sys.argv[1:]]))
