"""The command `clipnav compare-encoders` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["compare-encoders", *sys.argv[1:]]))
