"""The command `clipnav convert-features` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-features", *sys.argv[1:]]))
