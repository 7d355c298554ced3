"""The command `clipnav convert-openai-clip` as a script."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-openai-clip", *sys.argv[1:]]))
