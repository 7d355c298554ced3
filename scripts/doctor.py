"""The command `clipnav doctor` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["doctor", *sys.argv[1:]]))
