"""The command `clipnav train-language-representation` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-language-representation", *sys.argv[1:]]))
