"""The command `clipnav convert-duet` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-duet", *sys.argv[1:]]))
