"""The command `clipnav rank-systems` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["rank-systems", *sys.argv[1:]]))
