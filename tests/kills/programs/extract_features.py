"""Run extract_features.py with simple houses, also in its worker processes."""

import runpy
from pathlib import Path

from tests.kills.small_house import use_small_houses

use_small_houses()
if __name__ == "__main__":
    script = Path(__file__).parents[3] / "scripts" / Path(__file__).name
    runpy.run_path(str(script), run_name="__main__")
