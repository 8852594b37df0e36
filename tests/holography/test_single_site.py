"""The single-site law: its distribution function, and its map from a Gaussian."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import kstest

from emergence.errors import SettingsError
from emergence.holography.single_site import SingleSiteLaw

COUPLINGS = [(-199.44, 25.0), (-300.0, 25.0), (-2.0, 1.0), (0.0, 1.0), (3.0, 1.0), (50.0, 1e-3)]
MANY_COUPLINGS = st.tuples(st.floats(-300.0, 300.0), st.floats(1e-3, 60.0)).filter(
    lambda pair: pair[0] > -40.0 * np.sqrt(2.0 * pair[1])
)
NORMALS = st.floats(-8.0, 8.0)


def moment(law: SingleSiteLaw, power: int, below: float = np.inf) -> float:
    """∫ |φ|^power over |φ| < below of p(φ) d²φ, by adaptive integration over the radius."""

    def integrand(radius: float) -> float:
        return 2.0 * np.pi * radius ** (power + 1) * np.exp(float(law.log_density(radius)))

    # ln p falls by more than 45 within this distance of its highest point.
    peak = np.sqrt(max(0.0, -law.mu / (2.0 * law.lam)))
    width = (45.0 / law.lam) ** 0.25 if law.mu >= -2.0 else 7.0 / np.sqrt(-law.mu)
    low, high = max(0.0, peak - width), min(below, peak + width)
    return quad(integrand, low, high, epsabs=1e-13, epsrel=1e-12, limit=400)[0]


@pytest.mark.parametrize(("mu", "lam"), COUPLINGS)
def test_distribution_function_is_the_integral_of_the_density(mu: float, lam: float) -> None:
    law = SingleSiteLaw(mu, lam)
    assert moment(law, 0) == pytest.approx(1.0, abs=1e-10)
    for normal in (-4.0, -1.0, 0.0, 1.3):
        radius = float(law.radius(normal))
        expected = moment(law, 0, radius)
        assert np.exp(law.log_cdf(radius)) == pytest.approx(expected, rel=1e-7, abs=1e-11)
        assert ndtr(normal) == pytest.approx(expected, rel=1e-7, abs=1e-11)
        assert np.exp(law.log_survival(radius)) == pytest.approx(1.0 - expected, abs=1e-10)


def test_partition_function_in_closed_form() -> None:
    # λ = 0 is exponential; μ = 0 is half a Gaussian: π·½√(π/λ).
    assert SingleSiteLaw(1.7, 0.0).log_partition == pytest.approx(np.log(np.pi / 1.7), abs=1e-14)
    expected = np.log(np.pi * 0.5 * np.sqrt(np.pi / 3.0))
    assert SingleSiteLaw(0.0, 3.0).log_partition == pytest.approx(expected, abs=1e-14)
    # A thin ring is a whole Gaussian of height exp(μ²/4λ), far beyond the largest float.
    ring = SingleSiteLaw(-400.0, 25.0).log_partition
    expected = np.log(np.pi * np.sqrt(np.pi / 25.0)) + 400.0**2 / 100.0
    assert ring == pytest.approx(expected, abs=1e-11)
    assert ring > np.log(np.finfo(float).max)


def test_a_thin_ring_is_the_gaussian_of_the_notes() -> None:
    normal = np.linspace(-6.0, 6.0, 25)
    rho = SingleSiteLaw(-200.0, 25.0).radius(normal) ** 2
    np.testing.assert_allclose(rho, 4.0 + normal / np.sqrt(50.0), rtol=1e-13)


def test_without_quartic_the_density_is_exponential() -> None:
    normal = np.linspace(-6.0, 6.0, 25)
    rho = SingleSiteLaw(0.8, 0.0).radius(normal) ** 2
    np.testing.assert_allclose(rho, -np.log1p(-ndtr(normal)) / 0.8, rtol=1e-7)


@given(MANY_COUPLINGS, st.lists(NORMALS, min_size=2, max_size=20, unique=True))
@settings(max_examples=100, deadline=None)
def test_map_is_increasing_and_inverted(couplings, normals: list[float]) -> None:
    law = SingleSiteLaw(*couplings)
    normal = np.sort(normals)
    radius = law.radius(normal)
    assert np.all(radius > 0.0)
    assert np.all(np.diff(radius)[np.diff(normal) > 1e-6] > 0.0)
    np.testing.assert_allclose(law.normal(radius), normal, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(law.radius(law.normal(radius)), radius, rtol=1e-12)


@given(MANY_COUPLINGS, NORMALS)
@settings(max_examples=100, deadline=None)
def test_volume_is_the_derivative_of_the_map(couplings, normal: float) -> None:
    law, step = SingleSiteLaw(*couplings), 1e-4
    ahead, behind = law.radius(np.array([normal + step, normal - step])) ** 2
    derivative = 0.5 * (ahead - behind) / (2.0 * step)  # r dr/ds = ½ dρ/ds
    expected = float(np.exp(law.log_volume(normal)))
    # Rounding of ρ near a thin ring limits the difference quotient.
    assert derivative == pytest.approx(expected, rel=1e-5, abs=1e-11 * ahead)


@given(MANY_COUPLINGS, NORMALS)
@settings(max_examples=50, deadline=None)
def test_pushed_forward_density_is_the_law_itself(couplings, normal: float) -> None:
    law = SingleSiteLaw(*couplings)
    radius = law.radius(normal)
    log_latent = -0.5 * normal**2 - 1.5 * np.log(2.0 * np.pi)  # N(s; 0, 1) and 1/2π for θ
    pushed = log_latent - law.log_volume(normal, radius)
    # ln p itself is a difference of terms as large as μ²/4λ.
    rounding = 1e-13 * (1.0 + couplings[0] ** 2 / couplings[1])
    np.testing.assert_allclose(pushed, law.log_density(radius), rtol=1e-12, atol=rounding)


@pytest.mark.parametrize(("mu", "lam"), COUPLINGS)
def test_samples_follow_the_law(mu: float, lam: float) -> None:
    law = SingleSiteLaw(mu, lam)
    radius = law.radius(np.random.default_rng(3).standard_normal(20_000))
    for power in (1, 2, 4):
        mean = moment(law, power)
        spread = np.sqrt(moment(law, 2 * power) - mean**2)
        assert np.mean(radius**power) == pytest.approx(mean, abs=4.0 * spread / 20_000**0.5)
    # The same test tells a law that is 10 % wider.
    assert kstest(radius, lambda r: np.exp(law.log_cdf(r))).pvalue > 1e-3
    off = np.sqrt(np.mean(radius**2)) + 1.1 * (radius - np.sqrt(np.mean(radius**2)))
    assert kstest(off, lambda r: np.exp(law.log_cdf(np.maximum(r, 0.0)))).pvalue < 1e-6


def test_rejection_samples_are_sent_to_a_gaussian() -> None:
    # Drawn without the map: uniform in a disc, accepted under exp(−S).
    law, rng = SingleSiteLaw(-3.0, 1.0), np.random.default_rng(4)
    plane = rng.uniform(-2.6, 2.6, size=(200_000, 2))
    radius = np.hypot(*plane.T)
    highest = float(law.log_density(np.sqrt(1.5)))
    kept = radius[np.log(rng.uniform(size=radius.size)) < law.log_density(radius) - highest]
    assert kept.size > 20_000
    assert kstest(law.normal(kept), "norm").pvalue > 1e-3


@pytest.mark.parametrize(("mu", "lam"), COUPLINGS)
def test_extreme_tails_stay_finite_and_invert(mu: float, lam: float) -> None:
    law = SingleSiteLaw(mu, lam)
    normal = np.array([-20.0, -12.0, 12.0, 20.0])
    radius = law.radius(normal)
    assert np.all(np.isfinite(radius)) and np.all(np.diff(radius) > 0.0)
    np.testing.assert_allclose(law.normal(radius), normal, atol=1e-11)


def test_shapes_are_kept() -> None:
    law = SingleSiteLaw(-2.0, 1.0)
    normal = np.zeros((2, 3, 4))
    for result in (law.radius(normal), law.log_volume(normal), law.normal(1.0 + normal)):
        assert result.shape == (2, 3, 4)
    assert np.shape(law.radius(0.3)) == ()


@pytest.mark.parametrize(("mu", "lam"), [(1.0, -1.0), (0.0, 0.0), (-1.0, 0.0)])
def test_unbounded_laws_are_refused(mu: float, lam: float) -> None:
    with pytest.raises(SettingsError, match="no integral"):
        SingleSiteLaw(mu, lam)
