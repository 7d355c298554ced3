"""The command `clipnav demo` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
