"""Reading the law off a trained ensemble without peeking at the answer.

Every number is per seed; how each is defined stands in ``law`` and ``invariants``. The exact
matrices enter only as what is compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from emergence.artifacts import Arrays
from emergence.introspection import invariants, law, polynomial, schrodinger
from emergence.randomness import generator

GRID = 41
"""Values of V at which an update is compared, evenly over the trained range."""

LETTERS, WORDS, WORD_LENGTH = 8, 200, 12


def potential_grid(data: Arrays) -> np.ndarray:
    """Evenly over the range of V that was trained on, ``[GRID]``."""
    potential = data["train_potential"]
    return np.linspace(potential.min(), potential.max(), GRID)


def read_wave_law(
    weights: np.ndarray,
    latent: np.ndarray,
    data: Arrays,
    unit: float,
    spacing: float,
    solver: str = "transfer_matrix",
) -> Arrays:
    """Everything a two-variable linear update says about itself.

    Args:
        weights: W_k, ``[seeds, degree + 1, 2, 2]``.
        latent: on the test windows, ``[seeds, systems, sites + 1, 2]``.
        data: the dataset they belong to.

    Returns:
        Per seed ``[seeds]``: ``spacing_squared``, ``spacing_error`` (relative), ``det_error``,
        ``similarity``, ``word_error``, ``euler_similarity``, ``rank_one_defect``, ``readout_r2``,
        ``gauge_error``, ``psi_r2``, ``slope_r2``, ``node_fraction``, ``spurious_nodes``,
        ``regression_ratio``, ``regression_r2``, ``regression_r2_other``, ``curvature``; and on the
        grid ``potential`` ``[grid]``, ``trace``, ``determinant``, ``normalised_trace``
        ``[seeds, grid]``, ``gauge`` ``[seeds, grid, 2, 2]``, ``wave`` ``[seeds, systems, sites, 2]``.
        ``node_fraction`` and ``spurious_nodes`` are NaN where no window holds a node of ψ, and
        all of them for a seed whose weights or latents are not finite.
    """
    lost = ~(np.isfinite(weights).all(axis=(1, 2, 3)) & np.isfinite(latent).all(axis=(1, 2, 3)))
    if lost.any():
        return _without(lost, weights, latent, data, unit, spacing, solver)
    grid = potential_grid(data)
    update = polynomial.update_matrices(weights, grid, unit)
    exact = schrodinger.step_matrix(grid, spacing, solver)
    trace, determinant = invariants.invariants(update)
    measured = law.spacing_squared(weights, unit)
    letters = np.linspace(grid[0], grid[-1], LETTERS)
    words = generator(0, "words").integers(0, LETTERS, size=(WORDS, WORD_LENGTH))
    reading = {
        "potential": grid,
        "trace": trace,
        "determinant": determinant,
        "normalised_trace": invariants.normalised_trace(update),
        "spacing_squared": measured,
        "spacing_error": np.abs(measured / spacing**2 - 1.0),
        "det_error": np.abs(determinant - 1.0).max(axis=1),
        "similarity": invariants.similarity(update, exact).ratio,
        "euler_similarity": invariants.similarity(
            update, schrodinger.euler_matrix(grid, spacing)
        ).ratio,
        "word_error": invariants.word_trace_error(
            polynomial.update_matrices(weights, letters, unit),
            schrodinger.step_matrix(letters, spacing, solver),
            words,
        ),
        "curvature": law.curvature(weights, unit, grid),
    }
    return reading | _in_the_gauge_of_the_readout(
        weights, update, exact, latent, data, spacing, solver
    )


def _without(lost: np.ndarray, weights: np.ndarray, latent: np.ndarray, *rest: Any) -> Arrays:
    """The reading of the other seeds, with NaN in the rows of those that are lost."""
    if lost.all():
        # Nothing can be read; the shapes are those of any finite numbers.
        rng = generator(0, "lost")
        found = read_wave_law(rng.normal(size=weights.shape), rng.normal(size=latent.shape), *rest)
        return {k: v if k == "potential" else np.full(v.shape, np.nan) for k, v in found.items()}
    found = read_wave_law(weights[~lost], latent[~lost], *rest)
    reading = {"potential": found.pop("potential")}
    for name, values in found.items():
        reading[name] = np.full((len(lost), *values.shape[1:]), np.nan)
        reading[name][~lost] = values
    return reading


def _in_the_gauge_of_the_readout(
    weights: np.ndarray,
    update: np.ndarray,
    exact: np.ndarray,
    latent: np.ndarray,
    data: Arrays,
    spacing: float,
    solver: str,
) -> Arrays:
    """Latents as (ψ, ψ′) in the basis that the density itself singles out."""
    seeds = len(latent)
    density = np.abs(data["test_state"][..., 0]) ** 2
    scale = np.sqrt(np.mean(density**2, axis=1, keepdims=True))
    # Windows weigh the same whatever their growth: amplitudes scale with the root of the density.
    scaled = latent / np.sqrt(scale)[None, :, :, None]
    form, readout_r2 = law.readout_form(scaled.reshape(seeds, -1, 2), (density / scale).ravel())
    q, defect = law.rank_one(form)
    basis = law.gauge_basis(weights[:, 0], q, spacing)
    gauge = law.gauge(update, weights[:, 0], q, spacing)
    size = np.sqrt(np.mean(exact**2, axis=0))
    wave = np.einsum("sab,sntb->snta", basis, latent)
    state = data["test_state"].real
    truth = state / np.sqrt(scale)[..., None]
    # The sign of the wave function is nobody's to know: it is fixed once per seed.
    overlap = np.sign(np.sum(wave[..., 0] * state[None, ..., 0], axis=(1, 2)))
    wave = wave * overlap[:, None, None, None]
    r2 = _plain_r2((wave / np.sqrt(scale)[None, :, :, None]), truth[None])
    found = spurious = np.full(seeds, np.nan)
    if law.has_node(state[:, 1:, 0]):
        found, spurious = law.sign_changes(wave[:, :, 1:, 0], state[:, 1:, 0])
    regression = law.second_difference_regression(
        wave[:, :, 1:, 0], data["test_potential"], spacing, solver
    )
    return {
        "rank_one_defect": defect,
        "readout_r2": readout_r2,
        "gauge": gauge,
        "gauge_error": np.abs((gauge - exact) / size).max(axis=(1, 2, 3)),
        "wave": wave,
        "psi_r2": r2[:, 0],
        "slope_r2": r2[:, 1],
        "node_fraction": found,
        "spurious_nodes": spurious,
        "regression_ratio": regression.slope_ratio,
        "regression_r2": regression.r_squared,
        "regression_r2_other": regression.r_squared_other,
    }


def _plain_r2(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """1 − Σ(p − t)²/Σt² with no fit at all: the latents as they are; ``[seeds, components]``."""
    error = np.sum((prediction - truth) ** 2, axis=(1, 2))
    return 1.0 - error / np.sum(truth**2, axis=(1, 2))


def wave_r2_of_shuffled(wave: np.ndarray, data: Arrays) -> np.ndarray:
    """Control: the same R² of ψ against the wave functions of other systems, ``[seeds]``."""
    state = np.roll(data["test_state"].real, 1, axis=0)
    density = np.abs(data["test_state"][..., 0]) ** 2
    scale = np.sqrt(np.sqrt(np.mean(density**2, axis=1)))[:, None]
    other = np.sqrt(np.sqrt(np.mean(state[..., 0] ** 4, axis=1)))[:, None]
    return _plain_r2(wave[..., :1] / scale[..., None], (state[..., 0] / other)[None, ..., None])[
        :, 0
    ]


def similarity_controls(
    weights: np.ndarray,
    untrained: np.ndarray,
    grid: np.ndarray,
    unit: float,
    spacing: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """The similarity ratio where there is no similarity: each must stay large, ``[seeds]``.

    ``random``: random matrices near the identity; ``shuffled``: the learnt updates at the wrong V;
    ``untrained``: the network before training.
    """
    rng = generator(seed, "similarity controls")
    exact = schrodinger.transfer_matrix(grid, spacing)
    update = polynomial.update_matrices(weights, grid, unit)
    random = np.eye(2) + 0.1 * rng.standard_normal(update.shape)
    before = polynomial.update_matrices(untrained, grid, unit)
    # Any two matrices near the identity commute almost: what is left after the identity counts.
    return {
        "random": invariants.similarity(random, exact).ratio,
        "shuffled": invariants.similarity(update[:, rng.permutation(len(grid))], exact).ratio,
        "untrained": invariants.similarity(before, exact).ratio,
    }


def read_density_law(weights: np.ndarray, data: Arrays, unit: float, spacing: float) -> Arrays:
    """Everything a three-variable linear update says about itself.

    Args:
        weights: W_k, ``[seeds, degree + 1, 3, 3]``.

    Returns:
        Per seed ``[seeds]``: ``e1_e2_error`` (largest |e₁ − e₂| over the grid), ``e3_error``
        (largest |e₃ − 1|), ``form_ratio``, ``signature_right`` (1 where (1, 2)), ``similarity``
        to the exact density form, ``spacing_error``; and ``potential``, ``e1``, ``e2``, ``e3`` on
        the grid.
    """
    grid = potential_grid(data)
    update = polynomial.update_matrices(weights, grid, unit)
    e1, e2, e3 = invariants.characteristic(update)
    form = invariants.invariant_form(update)
    exact = schrodinger.density_matrix(schrodinger.transfer_matrix(grid, spacing))
    measured = law.spacing_squared(weights, unit)
    return {
        "potential": grid,
        "e1": e1,
        "e2": e2,
        "e3": e3,
        "e1_e2_error": np.abs(e1 - e2).max(axis=1),
        "e3_error": np.abs(e3 - 1.0).max(axis=1),
        "form_ratio": form.ratio,
        "signature_right": np.all(form.signature == [1, 2], axis=1).astype(float),
        "similarity": invariants.similarity(update, exact).ratio,
        "spacing_error": np.abs(measured / spacing**2 - 1.0),
    }
