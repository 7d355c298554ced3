"""The command `clipnav compare-vqa-encoders` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["compare-vqa-encoders", *sys.argv[1:]]))
