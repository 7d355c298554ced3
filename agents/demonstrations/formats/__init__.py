"""Writers and strict readers of the formats of demonstrations, one module for each format."""
