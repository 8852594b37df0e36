"""Emergence: physics emerging inside neural networks, reproduced claim by claim."""

__version__ = "0.1.0"
