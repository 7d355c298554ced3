"""Layers of BERT and LXMERT, and what agents that are built from them share."""
