"""See what the agent sees: traces of episodes, the pages that show them, and videos of them."""
