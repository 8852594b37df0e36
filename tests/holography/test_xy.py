"""The XY model: exact on 2×2, by clusters on larger tori, and as the limit λ → ∞ of complex φ⁴."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from emergence.holography.actions import XY, ComplexPhi4
from emergence.holography.autocorrelation import estimate, estimate_all
from emergence.holography.cluster import draw_phi4, run_phi4
from emergence.holography.correlation_laws import massive
from emergence.holography.exact import small_torus
from emergence.holography.observables import formulas

TRANSITION = 0.89289
"""T of Kosterlitz and Thouless, ±5e-5 (Y. Komura and Y. Okabe, arXiv:1210.6116)."""

TEMPERATURES = st.floats(0.15, 10.0)


def ring_of(temperature: float, density: float, lam: float) -> ComplexPhi4:
    """Complex φ⁴ of this mean-field density whose XY limit has this temperature."""
    t = 1.0 / (temperature * density)
    return ComplexPhi4(t, 2.0 * t - 2.0 * lam * density, lam)


@pytest.mark.parametrize("temperature", [0.5, 0.9, 3.0])
def test_small_torus_against_quadrature_over_the_angles(temperature: float) -> None:
    # One of the four angles is turned away; the trapezoidal rule converges exponentially.
    angle = 2.0 * np.pi * np.arange(60) / 60
    one, two, three = np.meshgrid(angle, angle, angle, indexing="ij", sparse=True)
    bonds = np.cos(one) + np.cos(two) + np.cos(three - one) + np.cos(three - two)
    weight = np.exp(2.0 * bonds / temperature)
    exact = small_torus(XY(temperature))
    volume = (2.0 * np.pi) ** 4
    assert exact.log_partition == pytest.approx(np.log(volume * weight.mean()), abs=1e-12)
    total = weight.sum()
    assert exact.neighbour == pytest.approx((weight * bonds).sum() / total / 4.0, abs=1e-12)
    assert exact.diagonal == pytest.approx((weight * np.cos(three)).sum() / total, abs=1e-12)
    assert exact.density == pytest.approx(1.0, abs=1e-14)


@given(TEMPERATURES)
@settings(max_examples=20, deadline=None)
def test_bond_is_the_derivative_of_the_partition_function(temperature: float) -> None:
    t, step = 1.0 / temperature, 1e-4
    ahead, behind = (small_torus(XY(1.0 / (t + s))).log_partition for s in (step, -step))
    exact = small_torus(XY(temperature))
    # Four pairs of neighbours, each with two bonds.
    assert (ahead - behind) / (2.0 * step) == pytest.approx(8.0 * exact.neighbour, rel=1e-5)
    assert 0.0 < exact.diagonal < exact.neighbour < 1.0


@given(TEMPERATURES, st.floats(0.5, 6.0))
@settings(max_examples=10, deadline=None)
def test_phi4_on_a_thinner_and_thinner_ring_tends_to_xy_as_one_over_lambda(
    temperature: float, density: float
) -> None:
    limit = small_torus(XY(temperature))
    # A ring is thin where λρ² and λρ/t = λTρ² are large.
    first = 200.0 / (density**2 * min(1.0, temperature))
    off = []
    for lam in (first, 2.0 * first, 4.0 * first):
        action = ring_of(temperature, density, lam)
        assert action.xy_temperature == pytest.approx(temperature)
        found = small_torus(action)
        # ⟨bond⟩/ρ, and Υ/T, whose current vanishes on the 2×2 torus.
        stiffness = action.t * found.neighbour - limit.neighbour / temperature
        off.append(
            (found.neighbour / density - limit.neighbour, stiffness, found.density - density)
        )
    for before, after in pairwise(off):
        assert np.divide(before, after) == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("temperature", [0.4, 0.9, 2.0])
def test_clusters_have_the_exact_moments_of_the_small_torus(temperature: float) -> None:
    action = XY(temperature)
    run = run_phi4(action, 2, chains=4, sweeps=8000, thermalisation=100, seed=3, correlate=True)
    exact = small_torus(action)
    measured = estimate_all(run.series, formulas(2))
    for name, value in (
        ("susceptibility", exact.susceptibility),
        ("bond", exact.neighbour),
        ("helicity", exact.neighbour / temperature),
    ):
        assert measured[name].value == pytest.approx(value, abs=4.0 * measured[name].error), name
        assert measured[name].error < 0.01 * value
        assert measured[name].agreement > 1e-3
    assert np.isnan(run.acceptance)
    assert np.abs(np.abs(run.field) - 1.0).max() < 1e-11
    action.value(run.field)


def test_fields_are_those_of_the_run() -> None:
    counts = {"chains": 2, "thermalisation": 5, "seed": 8}
    drawn = draw_phi4(XY(1.0), 4, samples=4, thinning=5, **counts)
    run = run_phi4(XY(1.0), 4, sweeps=20, **counts)
    np.testing.assert_array_equal(drawn[:, -1], run.field)


def test_hot_and_cold_the_torus_follows_its_expansions() -> None:
    lengths = {"chains": 4, "sweeps": 4000, "thermalisation": 100, "seed": 1}
    hot = estimate_all(run_phi4(XY(4.0), 16, **lengths).series, formulas(16))
    # ⟨cos⟩ = β/2 + 3β³/16 + O(β⁵), of which the plaquettes beside the bond give β³/4.
    expected = 1.0 / 8.0 + 3.0 / 16.0 / 4.0**3
    assert hot["bond"].value == pytest.approx(expected, abs=4.0 * hot["bond"].error)
    assert hot["bond"].error < 5e-4
    assert hot["helicity"].value == pytest.approx(0.0, abs=4.0 * hot["helicity"].error)
    temperature, side = 0.1, 16
    run = run_phi4(XY(temperature), side, correlate=True, **lengths)
    cold = estimate_all(run.series, formulas(side))
    # Spin waves share ½T per mode among two bonds a site; the next order is T²/32.
    waves = temperature * (1.0 - 1.0 / side**2) / 4.0
    assert cold["bond"].value == pytest.approx(1.0 - waves - temperature**2 / 32.0, abs=5e-5)
    assert temperature * cold["helicity"].value == pytest.approx(1.0 - waves, abs=6e-4)
    propagator = massive(side, 0.0)
    for distance in (2, 4, 8):
        fall = 2.0 * np.pi * (propagator[0] - propagator[distance])
        exponent = estimate(
            {"c": run.correlation[..., distance]},
            lambda means, fall=fall: -np.log(means["c"]) / fall,
        )
        # η = T/2π of the bare spin waves, with the measured stiffness in place of 1.
        stiff = 1.0 / (2.0 * np.pi * cold["helicity"].value)
        assert exponent.value == pytest.approx(stiff, abs=4.0 * exponent.error)
        assert exponent.error < 1e-4
        assert stiff == pytest.approx(temperature / (2.0 * np.pi), rel=0.3 * temperature)


@pytest.mark.slow
def test_phi4_by_clusters_tends_to_xy_on_a_larger_torus() -> None:
    temperature, density, side = 0.9, 4.0, 8
    lengths = {"chains": 4, "sweeps": 20_000, "thermalisation": 100}

    def read(action: XY | ComplexPhi4, unit: float, seed: int) -> list[tuple[float, float]]:
        run = run_phi4(action, side, seed=seed, **lengths)
        bond, helicity = (
            estimate(run.series, formulas(side)[name]) for name in ("bond", "helicity")
        )
        return [(bond.value / unit, bond.error / unit), (helicity.value, helicity.error)]

    limit = read(XY(temperature), 1.0, 0)
    # λ times what each is off by, with its error: a constant where it falls as 1/λ.
    scaled = []
    for seed, lam in enumerate((1.0, 2.0, 4.0), start=1):
        found = read(ring_of(temperature, density, lam), density, seed)
        scaled.append(
            [
                (lam * (value - aim), lam * np.hypot(error, miss))
                for (value, error), (aim, miss) in zip(found, limit, strict=True)
            ]
        )
    for one, two, three in zip(*scaled, strict=True):
        assert one[0] < -10.0 * one[1]
        for other in (two, three):
            assert other[0] == pytest.approx(one[0], abs=4.0 * np.hypot(one[1], other[1]))
    thin = read(ring_of(temperature, density, 256.0), density, 9)
    for (value, error), (aim, miss) in zip(thin, limit, strict=True):
        assert value == pytest.approx(aim, abs=4.0 * np.hypot(error, miss))


def misfit(temperature: float, sweeps: tuple[int, int]) -> float:
    """χ² with one degree of freedom of the law of tori at the transition, on sides 32 and 64.

    Υ/T = 0.636508 + 0.318899/(ln L + C) with C free (M. Hasenbusch, cond-mat/0502556). Smaller sides
    still feel corrections: on 8 and 16, C comes out lower by 0.2 and 0.1.
    """
    sides, values, errors = (32, 64), [], []
    for side, length in zip(sides, sweeps, strict=True):
        run = run_phi4(XY(temperature), side, chains=4, sweeps=length, thermalisation=300, seed=11)
        found = estimate(run.series, formulas(side)["helicity"])
        values.append(found.value)
        errors.append(found.error)

    def chi_square(constant: float) -> float:
        law = 0.636508 + 0.318899 / (np.log(sides) + constant)
        return float(np.sum(((values - law) / errors) ** 2))

    return minimize_scalar(chi_square, bounds=(-3.0, 50.0), method="bounded").fun


@pytest.mark.slow
def test_helicity_modulus_follows_the_law_of_tori_at_the_transition_alone() -> None:
    assert misfit(TRANSITION, (15_000, 4000)) < 6.6
    assert misfit(0.8, (2000, 1000)) > 25.0
    assert misfit(0.95, (2000, 1000)) > 25.0
