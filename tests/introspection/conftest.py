"""Small worlds for translator and distiller, and the exact law as weights to place in them."""

from types import SimpleNamespace

import numpy as np
import pytest

from emergence.introspection import potentials, schrodinger
from emergence.introspection.translator import lead_coordinates

SPACING, WAVENUMBER, DETECTOR_SITES = 0.1, 2.0, 8
UNIT = 4.0


@pytest.fixture(scope="session")
def make_world():
    """Makes potentials, the densities they produce and all that is known of their waves."""

    def make(family="rough", start="circle", solver="transfer_matrix", batch=5, sites=20, seed=0):
        rng = np.random.default_rng(seed)
        potential = potentials.GENERATORS[family](rng, batch, sites, SPACING)
        first = schrodinger.draw_starts(rng, batch, start, WAVENUMBER, 60.0)
        states = schrodinger.propagate(potential, first, SPACING, solver)
        states = np.concatenate([first[:, None], states], axis=1)
        psi, slope = states[..., 0], states[..., 1] / WAVENUMBER
        lead = schrodinger.lead_densities(first, SPACING, DETECTOR_SITES)
        return SimpleNamespace(
            potential=potential,
            density=np.abs(states[:, 1:, 0]) ** 2,
            lead=lead_coordinates(lead, SPACING * DETECTOR_SITES, WAVENUMBER),
            start=first,
            waves=np.stack([psi, slope], -1),
            # (ρ, s/k₀, t/k₀²), at the start and after every site.
            bilinears=np.stack(
                [np.abs(psi) ** 2, (np.conj(psi) * slope).real, np.abs(slope) ** 2], -1
            ),
            unit=UNIT,
        )

    return make


@pytest.fixture(scope="session")
def exact_weights():
    """Makes W_k ``[1, degree + 1, size, size]`` that follow the exact law as well as they can.

    ``size`` 2 updates (ψ, ψ′/k₀), 3 their bilinears; the polynomial meets the law at Chebyshev
    nodes of the rough family's range. Central difference is a polynomial of degree ``size`` − 1.
    """

    def make(size, degree, solver="transfer_matrix"):
        low, high = potentials.ROUGH_RANGE
        nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        nodes = 0.5 * (low + high) + 0.5 * (high - low) * nodes
        update = schrodinger.step_matrix(nodes, SPACING, solver)
        scale = WAVENUMBER ** -np.arange(float(size))
        update = schrodinger.density_matrix(update) if size == 3 else update
        update = update * scale[:, None] / scale[None, :]
        powers = np.vander(nodes / UNIT, degree + 1, increasing=True)
        weights = np.linalg.solve(powers, update.reshape(degree + 1, -1))
        return weights.reshape(1, degree + 1, size, size)

    return make
