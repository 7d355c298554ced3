"""The command `clipnav plot-results` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["plot-results", *sys.argv[1:]]))
