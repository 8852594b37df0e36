"""Free field and 2×2 torus against other methods and the published-precision references."""

import numpy as np
import pytest
from free_fields import free_correlation, free_density
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.holography.actions import ComplexPhi4, FreeField, bond_sum
from emergence.holography.exact import (
    SmallTorus,
    free_log_partition,
    free_sample,
    radial_grid,
    small_torus,
)
from emergence.holography.single_site import SingleSiteLaw


def quadratic_form(action: FreeField, side: int) -> np.ndarray:
    """M of S = φ†Mφ, read off the action's values by polarisation."""
    sites = side * side

    def value(vectors: np.ndarray) -> np.ndarray:
        return action.value(vectors.reshape(-1, side, side))

    basis = np.eye(sites, dtype=complex)
    single = value(basis)
    pairs = value((basis[:, None] + basis[None, :]).reshape(-1, sites)).reshape(sites, sites)
    form = 0.5 * (pairs - single[:, None] - single[None, :])
    turned = value((basis[:, None] + 1j * basis[None, :]).reshape(-1, sites))
    imaginary = turned.reshape(sites, sites) - single[:, None] - single[None, :]
    off_diagonal = ~np.eye(sites, dtype=bool)
    np.testing.assert_allclose(imaginary[off_diagonal], 0.0, atol=1e-12)
    return form


def dense_torus(points: np.ndarray, log_weights: np.ndarray, action: ComplexPhi4) -> SmallTorus:
    """The 2×2 torus as a ring of four points of the complex plane: no Bessel functions.

    A cross-check of the angular decomposition: Z = Tr M⁴ over a quadrature of the plane.
    """
    density = np.abs(points) ** 2
    onsite = log_weights - density * (action.mu + action.lam * density)
    bonds = 2.0 * action.t * (points.conj()[:, None] * points[None, :]).real
    exponent = 0.5 * (onsite[:, None] + onsite[None, :]) + bonds
    scale = exponent.max()
    matrix = np.exp(exponent - scale)
    square = matrix @ matrix
    total = np.sum(square**2)
    product = (points.conj()[:, None] * points[None, :]).real
    return SmallTorus(
        log_partition=float(4.0 * scale + np.log(total)),
        density=float(density @ np.sum(square**2, axis=1) / total),
        neighbour=float(np.sum(product * matrix * (square @ matrix)) / total),
        diagonal=float(np.sum(product * square**2) / total),
    )


def assert_same(one: SmallTorus, other: SmallTorus, tolerance: float) -> None:
    assert one.log_partition == pytest.approx(other.log_partition, rel=1e-14, abs=tolerance)
    for name in ("density", "neighbour", "diagonal", "susceptibility"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=tolerance)


@pytest.mark.parametrize(
    ("side", "log_partition", "density"),
    [
        (4, 7.7822780639, 0.7082956259),
        (8, 30.1442177419, 0.6351853623),
        (32, 482.0257695585, 0.6324701947),
    ],
)
def test_free_field_references(side: int, log_partition: float, density: float) -> None:
    action = FreeField(t=1.0, mu=2.25)
    assert free_log_partition(action, side) == pytest.approx(log_partition, abs=6e-11)
    assert free_density(action, side) == pytest.approx(density, abs=6e-11)


@pytest.mark.parametrize("side", [2, 3, 4])
@pytest.mark.parametrize(("t", "mu"), [(1.0, 2.25), (-0.4, 1.0), (0.0, 0.7)])
def test_free_field_against_dense_determinant_and_inverse(side: int, t: float, mu: float) -> None:
    action = FreeField(t, mu)
    form = quadratic_form(action, side)
    sign, log_determinant = np.linalg.slogdet(form)
    assert sign == 1.0
    expected = side * side * np.log(np.pi) - log_determinant
    assert free_log_partition(action, side) == pytest.approx(expected, abs=1e-11)
    inverse = np.linalg.inv(form)[0].reshape(side, side)
    np.testing.assert_allclose(free_correlation(action, side), inverse, atol=1e-12)
    assert free_density(action, side) == pytest.approx(inverse[0, 0], abs=1e-12)


def test_free_samples_have_the_exact_moments() -> None:
    action, side, batch = FreeField(1.0, 2.25), 4, 20_000
    field = free_sample(action, side, batch, np.random.default_rng(5))
    # S is a sum of N exponentials of mean 1, so its mean and variance are both N.
    value = action.value(field)
    assert value.mean() == pytest.approx(16.0, abs=4.0 * np.sqrt(16.0 / batch))
    assert value.var() == pytest.approx(16.0, rel=0.06)
    correlation = free_correlation(action, side)
    measured = np.mean(field[:, :1, :1].conj() * field, axis=0)
    np.testing.assert_allclose(measured, correlation, atol=4.0 * correlation[0, 0] / batch**0.5)


@pytest.mark.parametrize(
    ("couplings", "log_partition", "neighbour", "density"),
    [
        ((1.0, 1.0, 1.0), 3.0537613043, 0.2850124351, 0.5671685179),
        ((1.0, -2.0, 1.0), 17.0700925242, 1.6614652568, 1.9145963942),
        ((0.28, -199.44, 25.0), 1595.9276919435, 3.2305810169, 3.9978548438),
    ],
)
def test_small_torus_references(
    couplings: tuple[float, float, float], log_partition: float, neighbour: float, density: float
) -> None:
    exact = small_torus(ComplexPhi4(*couplings))
    assert exact.log_partition == pytest.approx(log_partition, abs=6e-11)
    assert exact.neighbour == pytest.approx(neighbour, abs=6e-11)
    assert exact.density == pytest.approx(density, abs=6e-11)


@pytest.mark.parametrize(
    "couplings", [(1.0, 1.0, 1.0), (1.0, -2.0, 1.0), (-0.7, 0.5, 0.3), (0.4, 1.2, 0.0)]
)
def test_small_torus_against_integration_over_the_plane(
    couplings: tuple[float, float, float],
) -> None:
    action = ComplexPhi4(*couplings)
    # The trapezoidal rule converges exponentially for smooth integrands that die off.
    reach = float(radial_grid(action, 8)[0].max()) * 0.95
    line = np.linspace(-reach, reach, 37)
    points = (line[:, None] + 1j * line[None, :]).ravel()
    log_weights = np.full(points.size, 2.0 * np.log(line[1] - line[0]))
    assert_same(small_torus(action), dense_torus(points, log_weights, action), 1e-8)


def test_thin_ring_against_hermite_radii_and_uniform_angles() -> None:
    action = ComplexPhi4.recalled(0.28)
    # In ρ = |φ|² the on-site weight is a Gaussian of mean −μ/2λ, 28 deviations above the cut.
    nodes, weights = np.polynomial.hermite.hermgauss(14)
    rho = -action.mu / (2.0 * action.lam) + nodes / np.sqrt(action.lam)
    angles = 2.0 * np.pi * np.arange(40) / 40
    points = np.sqrt(rho)[:, None] * np.exp(1j * angles)[None, :]
    # d²φ = ½ dρ dθ, and Hermite quadrature carries the weight exp(−x²) itself.
    log_weights = np.log(0.5 * weights / np.sqrt(action.lam) * angles[1]) + nodes**2
    log_weights = np.broadcast_to(log_weights[:, None], points.shape)
    dense = dense_torus(points.ravel(), log_weights.ravel(), action)
    assert_same(small_torus(action), dense, 1e-9)


@given(st.floats(0.05, 1.5), st.floats(0.05, 2.0))
@settings(max_examples=8, deadline=None)
def test_small_torus_without_quartic_is_the_free_field(t: float, gap: float) -> None:
    mu = 2.0 * t + gap
    exact, free = small_torus(ComplexPhi4(t, mu, 0.0)), FreeField(t, mu)
    correlation = free_correlation(free, 2)
    expected = SmallTorus(
        free_log_partition(free, 2), correlation[0, 0], correlation[0, 1], correlation[1, 1]
    )
    assert_same(exact, expected, 1e-10 * (1.0 + correlation[0, 0]))


@given(st.floats(0.05, 0.6), st.floats(-300.0, 50.0), st.floats(0.5, 30.0))
@settings(max_examples=10, deadline=None)
def test_moments_are_derivatives_of_the_partition_function(t: float, mu: float, lam: float) -> None:
    exact = small_torus(ComplexPhi4(t, mu, lam))
    step = 1e-3

    def slope(couplings) -> float:
        ahead, behind = (small_torus(ComplexPhi4(*couplings(s))) for s in (step, -step))
        return (ahead.log_partition - behind.log_partition) / (2.0 * step)

    # Eight bonds (four pairs, each twice) and four sites.
    assert slope(lambda s: (t + s, mu, lam)) == pytest.approx(8.0 * exact.neighbour, rel=1e-4)
    assert slope(lambda s: (t, mu + s, lam)) == pytest.approx(-4.0 * exact.density, rel=1e-4)


@given(st.floats(0.0, 0.6), st.floats(-300.0, 50.0), st.floats(0.5, 30.0))
@settings(max_examples=20, deadline=None)
def test_staggering_the_field_turns_the_sign_of_the_hopping(
    t: float, mu: float, lam: float
) -> None:
    plus, minus = small_torus(ComplexPhi4(t, mu, lam)), small_torus(ComplexPhi4(-t, mu, lam))
    assert minus.log_partition == pytest.approx(plus.log_partition, rel=1e-14)
    assert minus.neighbour == pytest.approx(-plus.neighbour, rel=1e-12)
    assert minus.diagonal == pytest.approx(plus.diagonal, rel=1e-12)
    assert abs(plus.neighbour) <= plus.density * (1.0 + 1e-12)


@pytest.mark.parametrize(("mu", "lam"), [(-199.44, 25.0), (2.0, 1.0), (0.0, 0.5)])
def test_without_hopping_the_sites_are_independent(mu: float, lam: float) -> None:
    exact = small_torus(ComplexPhi4(0.0, mu, lam))
    single = SingleSiteLaw(mu, lam).log_partition
    assert exact.log_partition == pytest.approx(4.0 * single, rel=1e-13, abs=1e-11)
    assert exact.neighbour == exact.diagonal == 0.0
    assert exact.susceptibility == exact.density


def test_importance_weights_reproduce_the_small_torus() -> None:
    # Ties the quadrature to ComplexPhi4.value: independent sites as the proposal.
    action = ComplexPhi4(0.3, 1.0, 1.0)
    law = SingleSiteLaw(action.mu, action.lam)
    rng = np.random.default_rng(11)
    shape = (200_000, 2, 2)
    field = law.radius(rng.standard_normal(shape)) * np.exp(2j * np.pi * rng.uniform(size=shape))
    log_proposal = np.sum(law.log_density(np.abs(field)), axis=(1, 2))
    weight = np.exp(-action.value(field) - log_proposal - 4.0 * law.log_partition)
    exact = small_torus(action)
    relative = np.std(weight) / np.mean(weight) / len(weight) ** 0.5
    log_partition = 4.0 * law.log_partition + np.log(np.mean(weight))
    assert log_partition == pytest.approx(exact.log_partition, abs=4.0 * relative)
    assert 0.0 < relative < 3e-3
    bonds = np.average(bond_sum(field), weights=weight) / 8.0
    assert bonds == pytest.approx(exact.neighbour, abs=0.005)


def test_radial_grid_closes_on_the_ring_and_reaches_zero_without_one() -> None:
    ring, _ = radial_grid(ComplexPhi4.recalled(0.28), 64)
    assert 1.6 < ring.min() < 1.9 and 2.1 < ring.max() < 2.4
    disc, _ = radial_grid(ComplexPhi4(1.0, 3.0, 1.0), 64)
    assert disc.min() < 0.01


def test_quadrature_that_does_not_settle_is_an_error() -> None:
    with pytest.raises(ArithmeticError, match="does not converge"):
        small_torus(ComplexPhi4(1.0, 1.0, 1.0), tolerance=-1.0)
