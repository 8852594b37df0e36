"""Retraining: quantum magnets from a wave function grown size by size (arXiv:2003.06228)."""
