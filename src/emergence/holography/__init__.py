"""Holography: the renormalisation group as an invertible network (arXiv:1903.00804)."""
