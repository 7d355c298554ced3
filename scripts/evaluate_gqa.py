"""The command `clipnav evaluate-gqa` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-gqa", *sys.argv[1:]]))
