"""Selective prediction: confidence of answers, abstention, and their scores."""
