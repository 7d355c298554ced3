"""The Gymnasium environments and their parts."""
