"""Settings of presets, and flags of small networks that train in seconds."""

from clipnav.vl_tasks.specs import parse_task

MCAN = ("--mcan.hidden-size", "32", "--mcan.feed-forward-size", "48", "--mcan.layers", "1")
PYTHIA = (
    *("--pythia.hidden-size", "16"),
    *("--pythia.product-size", "64"),
    *("--pythia.attention-size", "8"),
)


def preset(task, name):
    """Return the settings of a preset."""
    return parse_task(task, ["--preset", name])
