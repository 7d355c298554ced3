"""Scores of selective prediction."""
