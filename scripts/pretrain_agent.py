"""The command `clipnav pretrain-agent` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["pretrain-agent", *sys.argv[1:]]))
