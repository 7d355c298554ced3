"""What learns: followers by imitation and reinforcement, speakers, and their data."""
