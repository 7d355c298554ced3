"""The command `clipnav evaluate-reliability` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-reliability", *sys.argv[1:]]))
