"""Introspection: the Schrödinger equation inside a potential-to-density translator (arXiv:1901.11103)."""
