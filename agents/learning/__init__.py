"""Training of followers (imitation, reinforcement, back-translation) and of speakers."""
