"""`python -m clipnav`: the same as the console command `clipnav`."""

import sys

from clipnav.cli import main

if __name__ == "__main__":
    sys.exit(main())
