"""View features on disk: feature stores, shards, and file formats of other projects."""
