"""Pictures of viewpoints: panoramas of any world cached on disk, and views in any direction."""
