"""The command `clipnav reproduce` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["reproduce", *sys.argv[1:]]))
