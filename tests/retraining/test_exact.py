"""References: which method answers for which model, and published values against each other."""

import numpy as np
import pytest

from emergence.errors import SettingsError
from emergence.retraining import published
from emergence.retraining.diagonalisation import ground_state
from emergence.retraining.exact import bulk_energy, reference_energy
from emergence.retraining.models import build_model


@pytest.mark.parametrize(
    ("arguments", "couplings", "method", "energy"),
    [
        (("ising", "chain", 80), {"field": 1.0}, "free fermions", -101.497409452393),
        (("heisenberg", "chain", 80), {}, "Bethe ansatz", -35.265237054661),
        (("j1j2", "chain", 10), {"j2": 0.0}, "Bethe ansatz", -4.258035207283),
        (("j1j2", "chain", 32), {"j2": 0.5}, "Majumdar–Ghosh state", -12.0),
        (("j1j2", "chain", 10), {"j2": 0.2}, "exact diagonalisation", -3.985579833617),
        (("heisenberg", "square", 4), {}, "exact diagonalisation", -0.574325441575 * 16),
        (
            ("ising", "square", 6, "periodic"),
            {"field": 3.0},
            "exact diagonalisation (literature)",
            -115.2327073037,
        ),
        (
            ("heisenberg", "square", 6),
            {},
            "exact diagonalisation (literature)",
            -0.60352183 * 36,
        ),
    ],
)
def test_every_model_is_answered_by_its_best_method(arguments, couplings, method, energy):
    reference = reference_energy(build_model(*arguments, **couplings))
    assert reference.method == method
    assert reference.error == 0.0
    assert reference.energy == pytest.approx(energy, abs=1e-11)


@pytest.mark.parametrize("sites", [4, 8, 12])
@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_majumdar_ghosh_agrees_with_exact_diagonalisation(sites, boundary):
    model = build_model("j1j2", "chain", sites, boundary, j2=0.5)
    expected = ground_state(model).energy
    assert reference_energy(model).energy == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(("boundary", "energy"), [("open", -0.628656), ("periodic", -0.671549)])
def test_monte_carlo_agrees_with_older_values(boundary, energy):
    reference = reference_energy(build_model("heisenberg", "square", 10, boundary))
    assert reference.method == published.MONTE_CARLO
    assert 0.0 < reference.error < 1e-4
    assert reference.energy / 100 == pytest.approx(energy, abs=5e-6)


def test_published_rings_extrapolate_to_the_bulk():
    sizes = np.array(list(published.PERIODIC_HEISENBERG_SQUARE))
    energies = np.array([e for e, _ in published.PERIODIC_HEISENBERG_SQUARE.values()])
    assert np.all(np.diff(energies) > 0.0)
    # Leading corrections of the antiferromagnet on a torus: L⁻³, L⁻⁴.
    fit = np.polynomial.Polynomial.fit(1.0 / sizes, energies, [0, 3, 4, 5], domain=[-1, 1])
    bulk, error = published.HEISENBERG_SQUARE_BULK
    assert fit(0.0) == pytest.approx(bulk, abs=2 * error)
    # A mistyped digit would stand out of the smooth curve.
    assert np.abs(fit(1.0 / sizes) - energies).max() < 2e-7


def test_published_open_squares_extrapolate_to_the_bulk():
    sizes = np.array(list(published.OPEN_HEISENBERG_SQUARE))
    energies = np.array(
        [reference_energy(build_model("heisenberg", "square", int(n))).energy for n in sizes]
    )
    # Bulk, edges and corners.
    fit = np.polynomial.Polynomial.fit(
        1.0 / sizes, energies / sizes**2, [0, 1, 2, 3, 4], domain=[-1, 1]
    )
    bulk, error = published.HEISENBERG_SQUARE_BULK
    assert fit(0.0) == pytest.approx(bulk, abs=4 * error)
    assert np.abs(fit(1.0 / sizes) - energies / sizes**2).max() < 2e-6


@pytest.mark.parametrize(
    ("arguments", "couplings", "energy"),
    [
        (("ising", "chain", 8), {"field": 1.0}, -4 / np.pi),
        (("heisenberg", "chain", 8), {}, 0.25 - np.log(2)),
        (("j1j2", "chain", 8), {"j2": 0.5}, -0.375),
        (("heisenberg", "square", 4), {}, -0.669437),
    ],
)
def test_bulk_energies(arguments, couplings, energy):
    assert bulk_energy(build_model(*arguments, **couplings)).energy == pytest.approx(energy)


@pytest.mark.parametrize(
    ("function", "arguments", "couplings", "sentence"),
    [
        (
            reference_energy,
            ("j1j2", "chain", 34),
            {"j2": 0.2},
            "No reference energy is known for the J1–J2 model (j2 = 0.2) on the open chain of 34 "
            "sites. Choose a smaller lattice, or compute one by DMRG.",
        ),
        (
            bulk_energy,
            ("ising", "square", 4),
            {"field": 3.0},
            "No bulk energy is known for the transverse-field Ising model (h = 3) on the open "
            "square of 4 × 4. Extrapolate the energies of finite lattices instead.",
        ),
    ],
)
def test_what_is_not_known_is_said_in_a_sentence(function, arguments, couplings, sentence):
    with pytest.raises(SettingsError) as caught:
        function(build_model(*arguments, **couplings))
    assert str(caught.value) == sentence
