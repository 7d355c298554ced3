"""The command `clipnav inspect-features` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["inspect-features", *sys.argv[1:]]))
