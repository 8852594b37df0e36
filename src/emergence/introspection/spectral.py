"""The network-free baseline: a linear recurrence for V → ρ straight from Hankel matrices.

Spectral learning of linear second-order recurrences (Rabusseau, Li, Precup, arXiv:1807.01406). All
systems start alike; potentials are words over an alphabet of values of V. H[u, v] is the density
after the word uv and H_V[u, v] after u, one cell of V, and v. If ρ is the linear readout of an
n-dimensional state advanced by W(V), all these have rank n, and from H = U S Yᵀ follow the updates
W(V)ᵀ = S⁻¹ Uᵀ H_V Y. For ψ'' = Vψ the rank is 3: the state is (ρ, s, t) in an unknown basis.

Nothing is trained, so this is also the yardstick for how much a given noise costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emergence.introspection import invariants, law, polynomial, potentials, schrodinger
from emergence.randomness import generator
from emergence.settings import SpectralSettings

RANK = 3
"""Of the density of a real wave function, and of any other that starts alike everywhere."""

MAXIMAL_DEGREE = 6
"""Of W(V) in V by default: 50 sites are predicted to 1e-13 where a²|V| ≤ 0.08."""

FRESH_SYSTEMS, FRESH_SITES = 200, 50
"""Rough potentials on which a fit is judged."""

CURVATURE_GRID = 41
"""Values of V at which the curvature of the trace is fitted."""


def chebyshev_nodes(bounds: tuple[float, float], number: int) -> np.ndarray:
    """Chebyshev nodes of an interval in ascending order, ``[number]``: the alphabet."""
    low, high = bounds
    angle = np.pi * (np.arange(number) + 0.5) / number
    return 0.5 * (low + high) - 0.5 * (high - low) * np.cos(angle)


@dataclass(frozen=True)
class Hankel:
    """Measured densities after prefix, optional cell, and suffix; row 0 and column 0 are empty."""

    letters: np.ndarray
    """Values of V, ``[letters]``, 1/length²."""

    plain: np.ndarray
    """H[u, v], ``[prefixes, suffixes]``."""

    inserted: np.ndarray
    """H_V[u, v] for each letter, ``[letters, prefixes, suffixes]``."""


def measure(
    rng: np.random.Generator,
    letters: np.ndarray,
    words: int,
    length: int,
    start: np.ndarray,
    spacing: float,
    noise: float = 0.0,
    solver: str = "transfer_matrix",
) -> Hankel:
    """Simulate the experiments: random prefixes and suffixes, each pair one measured profile.

    The profile over a suffix shows the density after each of its beginnings too, so every site of a
    suffix is a column; prefixes are rows as a whole. Each entry has noise of its own.

    Args:
        letters: the alphabet, ``[letters]``.
        words: number of prefixes and number of suffixes.
        length: sites of each.
        start: (ψ₀, ψ₀′), real, the same for all systems, ``[2]``.
        spacing: a.
        noise: σ of the relative Gaussian noise on every density.

    Returns:
        ``words + 1`` rows and ``words · length + 1`` columns.
    """
    update = schrodinger.step_matrix(letters, spacing, solver)
    prefixes, suffixes = rng.integers(len(letters), size=(2, words, length))
    after_prefix = _products(update, prefixes)[:, -1] @ start
    states = np.concatenate([start[None], after_prefix])
    states = np.concatenate([states[None], np.einsum("lab,ub->lua", update, states)])
    to_amplitude = _products(update, suffixes)[:, :, 0].reshape(-1, 2)
    to_amplitude = np.concatenate([[[1.0, 0.0]], to_amplitude])
    density = np.einsum("lua,va->luv", states, to_amplitude) ** 2
    density *= 1.0 + noise * rng.standard_normal(density.shape)
    return Hankel(letters, density[0], density[1:])


def _products(update: np.ndarray, words: np.ndarray) -> np.ndarray:
    """M(V_j) … M(V_1) for every beginning of every word, ``[words, length, 2, 2]``."""
    product = update[words[:, 0]]
    products = [product]
    for column in words.T[1:]:
        product = update[column] @ product
        products.append(product)
    return np.stack(products, axis=1)


@dataclass(frozen=True)
class SpectralModel:
    """A linear recurrence in the basis that the singular vectors happen to choose."""

    singular_values: np.ndarray
    """All of H's, rows and columns scaled to unit RMS, ``[min(prefixes, suffixes)]``."""

    updates: np.ndarray
    """W at the letters, ``[letters, rank, rank]``."""

    start: np.ndarray
    """State before the first cell, ``[rank]``."""

    readout: np.ndarray
    """ρ = readout · state, ``[rank]``."""

    weights: np.ndarray
    """W_k of W(V) = Σ_k (V/V₀)^k W_k through the updates, ``[1, degree + 1, rank, rank]``."""

    unit: float
    """V₀, 1/length²."""

    def predict(self, potential: np.ndarray) -> np.ndarray:
        """Densities after each cell of ``potential`` ``[batch, sites]``; same shape."""
        batch, sites = potential.shape
        update = polynomial.update_matrices(self.weights, potential.ravel(), self.unit)[0]
        update = update.reshape(batch, sites, *update.shape[1:])
        state = np.broadcast_to(self.start, (batch, len(self.start)))
        density = np.empty((batch, sites))
        for site in range(sites):
            state = np.einsum("bij,bj->bi", update[:, site], state)
            density[:, site] = state @ self.readout
        return density


def fit(hankel: Hankel, rank: int = RANK, degree: int | None = None) -> SpectralModel:
    """Spectral learning: updates from the leading singular vectors, then a polynomial in V.

    Args:
        rank: dimension of the state.
        degree: of W(V); through all letters by default, up to ``MAXIMAL_DEGREE``.

    Raises:
        ValueError: the matrix is smaller than the rank, or the letters are too few for the degree.
    """
    letters = hankel.letters
    degree = min(len(letters) - 1, MAXIMAL_DEGREE) if degree is None else degree
    if not 0 <= degree < len(letters):
        raise ValueError(f"{len(letters)} letters do not fix a polynomial of degree {degree}")
    if rank > min(hankel.plain.shape):
        raise ValueError(f"a {hankel.plain.shape} Hankel matrix has no rank {rank}")
    # Densities grow exponentially along words: unscaled, the largest would decide alone, and their
    # relative noise would drown the rest.
    rows = np.sqrt(np.mean(hankel.plain**2, axis=1))
    scaled = hankel.plain / rows[:, None]
    columns = np.sqrt(np.mean(scaled**2, axis=0))
    left, singular_values, right = np.linalg.svd(scaled / columns, full_matrices=False)
    left, right = left[:, :rank] / rows[:, None], right[:rank] / columns
    inverse = 1.0 / singular_values[:rank]
    transposed = inverse[:, None] * (left.T @ hankel.inserted @ right.T)
    updates = np.swapaxes(transposed, 1, 2)
    unit = float(np.max(np.abs(letters)))
    powers = np.vander(letters / unit, degree + 1, increasing=True)
    return SpectralModel(
        singular_values=singular_values,
        updates=updates,
        start=right @ hankel.plain[0],
        readout=inverse * (left.T @ hankel.plain[:, 0]),
        weights=np.einsum("kl,lab->kab", np.linalg.pinv(powers), updates)[None],
        unit=unit,
    )


def prediction_error(
    model: SpectralModel, potential: np.ndarray, start: np.ndarray, spacing: float
) -> float:
    """Median over systems of the RMS error over the RMS density, against the exact solver."""
    starts = np.broadcast_to(start, (len(potential), 2))
    density = schrodinger.propagate(potential, starts, spacing)[..., 0] ** 2
    error = np.mean((model.predict(potential) - density) ** 2, axis=1)
    return float(np.median(np.sqrt(error / np.mean(density**2, axis=1))))


def read_law(model: SpectralModel, spacing: float) -> dict[str, np.ndarray]:
    """What a fit of rank 3 says about the law, each ``[]``.

    Returns:
        ``spacing_ratio`` (measured over true a²), ``e1_e2_error`` and ``e3_error`` (largest
        |e₁ − e₂| and |e₃ − 1| over the letters), ``form_residual`` and ``form_ratio`` of the
        invariant form, ``signature_right`` (1 where it is (1, 2)).
    """
    e1, e2, e3 = invariants.characteristic(model.updates)
    form = invariants.invariant_form(model.updates[None])
    return {
        "spacing_ratio": law.spacing_squared(model.weights, model.unit)[0] / spacing**2,
        "e1_e2_error": np.abs(e1 - e2).max(),
        "e3_error": np.abs(e3 - 1.0).max(),
        "form_residual": form.residual[0],
        "form_ratio": form.ratio[0],
        "signature_right": np.all(form.signature[0] == [1, 2]).astype(float),
    }


def experiments(
    settings: SpectralSettings,
    spacing: float,
    seeds: int,
    seed: int,
    wavenumber: float = 2.0,
    strong_range: tuple[float, float] = (-0.8, 0.5),
) -> dict[str, np.ndarray]:
    """Fit at every noise level, one experiment per seed.

    Args:
        wavenumber: k₀ of the start data A.
        strong_range: a²V of the experiments that tell one discretisation from another; all others
            are on the range of the rough potentials.

    Returns:
        ``noise`` ``[levels]``; ``singular_values`` ``[levels, seeds, words + 1]``; and each
        ``[levels, seeds]``: ``prediction_error`` on fresh rough potentials,
        ``prediction_error_rank_two``, the control that rank 3 is needed, the entries of
        :func:`read_law`, and those of :func:`measured_curvature`.
    """
    rng = generator(seed, "fresh")
    start = schrodinger.draw_starts(rng, 1, "single", wavenumber, 0.0)[0]
    fresh = potentials.rough(rng, FRESH_SYSTEMS, FRESH_SITES, spacing)
    letters = chebyshev_nodes(potentials.ROUGH_RANGE, settings.letters)
    strong = chebyshev_nodes(strong_range, settings.letters) / spacing**2

    def one(noise: float, index: int) -> dict[str, np.ndarray]:
        # The same words at every level: levels differ by their noise alone.
        stream = generator(seed, index)
        size = settings.words, settings.length
        hankel = measure(stream, letters, *size, start, spacing, noise)
        model, smaller = fit(hankel), fit(hankel, rank=RANK - 1)
        return {
            "singular_values": model.singular_values,
            "prediction_error": prediction_error(model, fresh, start, spacing),
            "prediction_error_rank_two": prediction_error(smaller, fresh, start, spacing),
            **read_law(model, spacing),
            **measured_curvature(stream, strong, *size, start, spacing, noise),
        }

    levels = [[one(noise, index) for index in range(seeds)] for noise in settings.noise]
    return {
        "noise": np.array(settings.noise),
        **{
            key: np.array([[found[key] for found in level] for level in levels])
            for key in levels[0][0]
        },
    }


def measured_curvature(
    rng: np.random.Generator,
    letters: np.ndarray,
    words: int,
    length: int,
    start: np.ndarray,
    spacing: float,
    noise: float,
) -> dict[str, float]:
    """:func:`emergence.introspection.law.curvature` of fits to either solver's data.

    Returns:
        ``curvature`` on the exact solution's data (1/12 is right) and ``curvature_lattice`` on the
        central difference's (0 is right).
    """
    grid = np.linspace(letters[0], letters[-1], CURVATURE_GRID)
    found = []
    for solver in schrodinger.SOLVERS:
        model = fit(measure(rng, letters, words, length, start, spacing, noise, solver))
        found.append(float(law.curvature(model.weights, model.unit, grid)[0]))
    return {"curvature": found[0], "curvature_lattice": found[1]}
