"""The grid of 36 views at a viewpoint: 12 headings at each of 3 elevations.

View v = 12 * band + heading step, as MatterSim numbers its views (MatterSim.cpp:378-390): band 0
looks 30 degrees down, band 1 is level, band 2 looks 30 degrees up; headings increase clockwise from
+y in steps of 30 degrees.
"""

import numpy as np

from clipnav.storage.errors import UserError

NUM_HEADINGS, NUM_BANDS = 12, 3
NUM_VIEWS = NUM_HEADINGS * NUM_BANDS
STEP = np.pi / 6  # radians between neighbouring headings, and between neighbouring elevations
VFOV = np.pi / 3  # radians, vertical field of view of a view
# View order that feature stores record.
VIEW_ORDER = "bottom,middle,top x 12 headings clockwise from 0"

VIEW_HEADINGS = STEP * (np.arange(NUM_VIEWS) % NUM_HEADINGS)
"""(36,) float64 radians clockwise from +y."""
VIEW_ELEVATIONS = STEP * (np.arange(NUM_VIEWS) // NUM_HEADINGS - 1)
"""(36,) float64 radians above the horizon."""


def view_direction(view: int) -> tuple[float, float]:
    """Return the heading and elevation of a view in radians."""
    if not 0 <= view < NUM_VIEWS:
        raise UserError(f"view {view} does not exist; views are 0 to {NUM_VIEWS - 1}")
    return float(VIEW_HEADINGS[view]), float(VIEW_ELEVATIONS[view])
