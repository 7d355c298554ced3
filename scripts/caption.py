"""The command `clipnav caption` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["caption", *sys.argv[1:]]))
