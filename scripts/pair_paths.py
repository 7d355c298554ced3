"""The command `clipnav pair-paths` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["pair-paths", *sys.argv[1:]]))
