"""The command `clipnav push` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["push", *sys.argv[1:]]))
