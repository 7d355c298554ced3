"""The command `clipnav extract-features` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["extract-features", *sys.argv[1:]]))
