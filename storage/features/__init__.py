"""View features on disk: stores, shards, and other people's formats."""
