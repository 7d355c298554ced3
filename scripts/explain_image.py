"""The command `clipnav explain-image` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["explain-image", *sys.argv[1:]]))
