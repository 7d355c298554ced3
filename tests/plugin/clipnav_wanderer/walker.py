"""A follower of another name, whose parts for continuous space only report that they are called."""

from dataclasses import replace

from clipnav import UserError
from clipnav.agents.specs import agent_spec

WALKER = replace(
    agent_spec("follower"),
    name="walker",
    waypoints=f"{__name__}:reach",
    continuous=f"{__name__}:reach",
)


def reach(*arguments):
    """Report the call."""
    raise UserError("the walker has been reached")
