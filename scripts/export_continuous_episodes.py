"""The command `clipnav export-continuous-episodes` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["export-continuous-episodes", *sys.argv[1:]]))
