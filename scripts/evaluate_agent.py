"""The command `clipnav evaluate-agent` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-agent", *sys.argv[1:]]))
