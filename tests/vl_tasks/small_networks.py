"""Flags of small networks that train in seconds."""

MCAN = ("--mcan.hidden-size", "32", "--mcan.feed-forward-size", "48", "--mcan.layers", "1")
PYTHIA = (
    *("--pythia.hidden-size", "16"),
    *("--pythia.product-size", "64"),
    *("--pythia.attention-size", "8"),
)
