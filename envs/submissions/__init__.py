"""Submission files: writing, checks, scores and reports."""
