"""CLIP encoders and the feature store, shared by navigation and by `vl_tasks`."""
