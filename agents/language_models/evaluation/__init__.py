"""Evaluation of language-model agents on a subset of a split."""
