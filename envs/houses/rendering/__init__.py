"""Pictures of houses: panoramas, contact sheets, drawn plans."""
