"""What the conditionals of an exact ground state remember: the yardstick of a network's memory."""

from __future__ import annotations

import numpy as np

from emergence.errors import SettingsError
from emergence.retraining.diagonalisation import ground_state
from emergence.retraining.models import Model

MOST_FLIPS = 8
"""Sites flipped, one at a time: their answers are averaged."""

MOST_EXACT_SITES = 20
"""Largest chain whose conditionals are summed exactly: 2^N prefixes."""


def longest_distance(sites: int) -> int:
    """D: half of the chain."""
    return sites // 2


def flipped_sites(sites: int) -> np.ndarray:
    """The sites j that are flipped; they and j + D lie as far from the two ends as possible."""
    count = int(np.clip(sites // 8, 1, MOST_FLIPS))
    first = (sites - longest_distance(sites) - count) // 2
    return np.arange(first, first + count)


def exact_response(model: Model, probabilities: np.ndarray | None = None) -> np.ndarray:
    """The response of the exact ground state of a chain, ``[D]``, column d − 1.

    Sums over all prefixes: what the conditionals of a perfect network would remember.

    Args:
        probabilities: ψ² of every configuration, bit i of the index set where spin i points up,
            ``[2^sites]``; those of the ground state if None.

    Raises:
        SettingsError: not a chain, or one of more than ``MOST_EXACT_SITES`` sites.
    """
    sites = model.sites
    if model.lattice.geometry != "chain" or sites > MOST_EXACT_SITES:
        raise SettingsError(
            f"The conditionals of the {model} cannot be summed exactly.",
            f"Choose a chain of at most {MOST_EXACT_SITES} sites.",
        )
    if probabilities is None:
        state = ground_state(model)
        probabilities = np.zeros(2**sites)
        probabilities[state.states] = state.probabilities
    prefix = [probabilities.reshape(-1, 2**length).sum(axis=0) for length in range(sites + 1)]
    flips = flipped_sites(sites)
    answers = np.zeros(longest_distance(sites))
    for column in range(len(answers)):
        for flip in flips:
            here = flip + column + 1
            weight = prefix[here]
            possible = weight > 0.0
            up = np.divide(
                prefix[here + 1][2**here :], weight, out=np.zeros_like(weight), where=possible
            )
            other = np.arange(2**here) ^ (1 << int(flip))
            # A flip to a prefix that the state never has asks a conditional that does not exist.
            both = possible & possible[other]
            answers[column] += np.sum((weight * np.abs(up - up[other]))[both]) / len(flips)
    return answers
