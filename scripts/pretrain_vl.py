"""The command `clipnav pretrain-vl` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["pretrain-vl", *sys.argv[1:]]))
