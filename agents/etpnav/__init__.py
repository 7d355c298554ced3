"""ETPNav: a map agent that plans over ghost nodes in continuous space."""
