"""What the experimenter sees: potentials, the densities they produce, three densities of the lead.

One dataset per entry of the settings. The states (ψ, ψ′) are kept beside the densities for the
analysis alone; no training reads them.
"""

from __future__ import annotations

import numpy as np

from emergence.introspection import potentials, schrodinger
from emergence.randomness import generator
from emergence.settings import Introspection

SPLITS = ("train", "test", "long")
AMPLITUDE_RANGE = (0.5, 1.5)
"""Of the start vectors, except in start data A: the normalisation is not always the same."""


def make(settings: Introspection, name: str, seed: int) -> dict[str, np.ndarray]:
    """Generate one dataset.

    Args:
        name: a key of ``settings.datasets``.
        seed: root seed of the run; of no weight where ``settings.data_seed`` is given.

    Returns:
        For each split: ``<split>_potential`` ``[systems, sites]``, ``<split>_density`` (same shape),
        ``<split>_lead`` ``[systems, 3]``, ``<split>_family`` ``[systems]`` (index into
        ``families``), ``<split>_state`` ``[systems, sites + 1, 2]`` with the start first; and
        ``families`` (names), ``unit`` V₀ (half the largest |V| of the training split).
    """
    chosen = settings.datasets[name]
    seed = seed if settings.data_seed is None else settings.data_seed
    sizes = {
        "train": (settings.training_windows, settings.window),
        "test": (settings.test_windows, settings.window),
        "long": (settings.test_systems, max([settings.window, *settings.extrapolation])),
    }
    arrays: dict[str, np.ndarray] = {"families": np.array(chosen.families)}
    for split in SPLITS:
        number, sites = sizes[split]
        parts = [
            _family(
                settings, name, family, generator(seed, "data", name, split, family), number, sites
            )
            for family in chosen.families
        ]
        for key in ("potential", "density", "lead", "state"):
            arrays[f"{split}_{key}"] = np.concatenate([part[key] for part in parts])
        arrays[f"{split}_family"] = np.repeat(np.arange(len(parts)), number)
    arrays["unit"] = np.array(0.5 * np.abs(arrays["train_potential"]).max())
    return arrays


def _family(
    settings: Introspection,
    name: str,
    family: str,
    rng: np.random.Generator,
    number: int,
    sites: int,
) -> dict[str, np.ndarray]:
    """Systems of one family: potential, density, lead densities and states."""
    chosen, spacing = settings.datasets[name], settings.spacing
    if family == "strong":
        potential = potentials.strong(rng, number, sites, spacing, chosen.strong_range)
    else:
        potential = potentials.GENERATORS[family](rng, number, sites, spacing)
    start = schrodinger.draw_starts(
        rng, number, chosen.start, settings.start_wavenumber, settings.start_half_arc
    )
    if chosen.start != "single":
        start = start * rng.uniform(*AMPLITUDE_RANGE, size=(number, 1))
    states = schrodinger.propagate(potential, start, spacing, chosen.solver)
    return {
        "potential": potential,
        "density": np.abs(states[..., 0]) ** 2,
        "lead": schrodinger.lead_densities(start, spacing, settings.lead_sites),
        "state": np.concatenate([start[:, None], states], axis=1),
    }


def with_noise(
    density: np.ndarray, noise: float, seeds: int, rng: np.random.Generator
) -> np.ndarray:
    """Densities as each seed's experimenter measures them: relative Gaussian errors.

    Returns:
        ``[seeds, ...]``, or ``[1, ...]`` without noise, which no seed needs a copy of.
    """
    if noise == 0.0:
        return density[None]
    return density * (1.0 + noise * rng.standard_normal((seeds, *density.shape)))


def shuffle_systems(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The control's pairing: every system gets another one's values along the first axis."""
    order = rng.permutation(len(values))
    partner = np.empty_like(order)
    # A cycle through a random order has no fixed point, so no pairing is right by chance.
    partner[order] = np.roll(order, 1)
    return values[partner]


def whitening(hidden: np.ndarray) -> np.ndarray:
    """Linear map that gives hidden states unit variance in every direction, seed by seed.

    Each window counts the same whatever its growth. Directions with less than 1e-10 of the
    variance are noise and are mapped to zero.

    Args:
        hidden: ``[seeds, windows, sites + 1, hidden]``.

    Returns:
        ``[seeds, hidden, hidden]``, to be applied as ``h @ map``.
    """
    maps = []
    for states in hidden:
        scaled = states / np.sqrt(np.mean(states**2, axis=(1, 2), keepdims=True))
        scaled = scaled.reshape(-1, states.shape[-1])
        variance, directions = np.linalg.eigh(scaled.T @ scaled / len(scaled))
        keep = variance > 1e-10 * variance[-1]
        inverse = np.where(keep, 1.0 / np.sqrt(np.where(keep, variance, 1.0)), 0.0)
        maps.append(directions * inverse)
    return np.stack(maps)
