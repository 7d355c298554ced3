"""CLIP encoders for navigation and for `vl_tasks`: models, weights, extraction, pre-training."""
