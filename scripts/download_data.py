"""The command `clipnav download-data` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["download-data", *sys.argv[1:]]))
