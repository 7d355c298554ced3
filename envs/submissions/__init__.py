"""Submission files: write, check, score, report."""
