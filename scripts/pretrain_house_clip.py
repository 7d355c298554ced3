"""The command `clipnav pretrain-house-clip` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["pretrain-house-clip", *sys.argv[1:]]))
