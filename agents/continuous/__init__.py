"""Agents that follow instructions without a navigation graph: Seq2Seq and CMA of VLN-CE."""
