"""What walks: rollouts, follower agents, baselines, search, speakers, and their evaluation."""
