"""The command `clipnav habitat-server` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["habitat-server", *sys.argv[1:]]))
