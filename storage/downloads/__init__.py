"""Downloads: files over HTTP, their checksums, and zip archives."""
