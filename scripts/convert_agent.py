"""The command `clipnav convert-agent` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-agent", *sys.argv[1:]]))
