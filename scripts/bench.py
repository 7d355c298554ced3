"""The command `clipnav bench` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
