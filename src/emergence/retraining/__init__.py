"""Retraining: bulk quantum magnets from a recurrent wave function grown size by size (arXiv:2003.06228)."""
