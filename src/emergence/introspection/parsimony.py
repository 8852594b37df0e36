"""How narrow the bottleneck may become: losses against latent dimension, thresholds, reversals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.introspection.analysis import Results

LOSS_THRESHOLD = 1e-2
"""A latent dimension suffices for a seed when it leaves less than 1 % of the hidden states' mean
square unexplained. Losses that suffice lie decades below, losses that do not decades above."""


def read(results: Results) -> Iterator[tuple[str, pd.DataFrame | Measurement]]:
    """Table ``bottleneck`` of every distiller; loss ratios and thresholds for I3, I7 and I8."""
    rows = []
    for arm, chosen in results.chosen.distillers.items():
        arrays = results.distiller(arm)
        for latent in chosen.latent:
            for seed, loss in enumerate(arrays[f"n{latent}/loss"]):
                rows.append(
                    (arm, chosen.dataset, chosen.decoder, chosen.cell, latent, seed, float(loss))
                )
    columns = ["arm", "dataset", "decoder", "cell", "latent", "seed", "loss"]
    table = pd.DataFrame(rows, columns=columns)
    yield "bottleneck", table
    for measurement in _measure(results):
        yield measurement.name, measurement


def _measure(results: Results) -> Iterator[Measurement]:
    from emergence.introspection.analysis import per_seed

    for arm in results.chosen.distillers:
        for narrow, wide in ((1, 2), (2, 3)):
            if results.has("distillers", arm, narrow) and results.has("distillers", arm, wide):
                arrays = results.distiller(arm)
                ratio = arrays[f"n{narrow}/loss"] / arrays[f"n{wide}/loss"]
                yield per_seed(
                    f"{arm}.loss_ratio_{narrow}_{wide}", ratio, f"distillers/{arm}", True
                )
        if len(results.chosen.distillers[arm].latent) > 1:
            yield per_seed(f"{arm}.threshold", threshold(results, arm), f"distillers/{arm}")
    for arm in ("single", "circle"):
        if results.has("distillers", arm, 2):
            ratio = results.distiller(arm)["n2/loss"] / results.distiller("quadratic")["n2/loss"]
            yield per_seed(f"{arm}.loss_over_arc", ratio, f"distillers/{arm}", True)
    for arm, latent in (("quadratic", 2), ("circle_linear", 3)):
        if results.has("distillers", arm, latent):
            loss = results.distiller(arm)[f"n{latent}/loss"]
            yield per_seed(f"{arm}.loss_{latent}", loss, f"distillers/{arm}")


def threshold(results: Results, arm: str) -> np.ndarray:
    """Smallest trained latent dimension that suffices, ``[seeds]``; one more than the largest if none."""
    chosen = sorted(results.chosen.distillers[arm].latent)
    arrays = results.distiller(arm)
    enough = np.stack([arrays[f"n{n}/loss"] <= LOSS_THRESHOLD for n in chosen], axis=1)
    first = np.argmax(enough, axis=1)
    sizes = np.array([*chosen, chosen[-1] + 1])
    return sizes[np.where(enough.any(axis=1), first, len(chosen))].astype(float)
