"""The command `clipnav convert-hamt` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-hamt", *sys.argv[1:]]))
