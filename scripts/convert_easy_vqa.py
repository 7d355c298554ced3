"""The command `clipnav convert-easy-vqa` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-easy-vqa", *sys.argv[1:]]))
