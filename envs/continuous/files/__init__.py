"""VLN-CE's files of episodes, ground truth and submissions: reading and writing."""
