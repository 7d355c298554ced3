"""The command `clipnav evaluate-answers` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate-answers", *sys.argv[1:]]))
