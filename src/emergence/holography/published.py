"""Numbers of others that the figures show beside ours, with where they come from."""

from __future__ import annotations

import pandas as pd

ISING = pd.DataFrame(
    [
        ("authors", 16, 3.02, 50_560, "public code and logs of arXiv:1802.02840, at T_c"),
        ("authors", 32, 12.8, None, "the same, at T = 2.3"),
        ("independent reproduction", 16, 2.77, None, "a public reproduction, at T_c"),
        ("independent reproduction", 32, 7.5, 1_780_000, "the same"),
    ],
    columns=["who", "size", "divergence", "parameters", "place"],
)
"""KL of trained flows to the Ising dual field, nats."""
