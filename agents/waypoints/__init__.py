"""Graph agents in VLN-CE, on waypoints."""
