"""The command `clipnav export-demonstrations` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["export-demonstrations", *sys.argv[1:]]))
