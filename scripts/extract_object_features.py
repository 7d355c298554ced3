"""The command `clipnav extract-object-features` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["extract-object-features", *sys.argv[1:]]))
