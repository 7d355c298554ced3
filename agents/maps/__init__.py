"""Maps that agents build while they walk, experts, and agents that walk to any node of a map."""
