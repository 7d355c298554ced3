"""The command `clipnav evaluate-captions` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-captions", *sys.argv[1:]]))
