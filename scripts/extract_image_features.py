"""The command `clipnav extract-image-features` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["extract-image-features", *sys.argv[1:]]))
