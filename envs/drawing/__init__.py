"""Drawing of episodes: views, maps, instructions and figures, for environments and videos."""
