"""The geometry of the bulk, on synthetic spaces and on the free field."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_bulks import sharing

from emergence.errors import SettingsError
from emergence.holography.bulk_pairs import PairInformation
from emergence.holography.geometry import (
    OneLength,
    compare_geometries,
    distances,
    fit_same_layer,
    fit_vertical,
    hyperbolic_distance,
    same_layer,
    vertical,
)
from emergence.holography.geometry_readings import haar_pairs

CRITICAL, GAPPED = haar_pairs(32, 1e-4), haar_pairs(32, 4.0)


def synthetic(value: np.ndarray, *, noise: float = 0.0, seed: int = 0) -> PairInformation:
    """The cells of a 32×32 lattice that share what is given."""
    return sharing(CRITICAL, value, noise=noise, seed=seed)


def one_length(pairs: PairInformation) -> OneLength:
    """Both decays of the same pairs."""
    return OneLength(fit_same_layer(pairs), fit_vertical(pairs))


points = st.tuples(st.floats(-20.0, 20.0), st.floats(0.1, 20.0))


@given(points, points, points, st.floats(0.1, 10.0))
def test_hyperbolic_distance_is_a_metric_that_dilatations_keep(a, b, c, factor: float) -> None:
    def distance(first, second) -> float:
        return float(hyperbolic_distance(first[0] - second[0], first[1], second[1]))

    assert distance(a, b) == pytest.approx(distance(b, a))
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
    larger = [(factor * x, factor * z) for x, z in (a, b)]
    assert distance(*larger) == pytest.approx(distance(a, b), rel=1e-9, abs=1e-12)
    cosh = 1.0 + ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (2.0 * a[1] * b[1])
    assert np.cosh(distance(a, b)) == pytest.approx(cosh, rel=1e-9)


def test_hyperbolic_distance_up_is_the_logarithm_and_along_twice_it() -> None:
    assert hyperbolic_distance(0.0, 1.0, 8.0) == pytest.approx(np.log(8.0))
    far = hyperbolic_distance(1e4, 1.0, 1.0)
    assert far == pytest.approx(2.0 * np.log(1e4), rel=1e-6)
    with pytest.raises(ValueError, match="z > 0"):
        hyperbolic_distance(1.0, 0.0, 1.0)


@pytest.mark.parametrize("length", [0.4, 1.0])
def test_power_laws_of_one_length_are_told(length: float) -> None:
    within = CRITICAL.level == CRITICAL.other
    ratio = np.where(within, CRITICAL.separation / CRITICAL.z, 1.0)
    law = np.where(
        within,
        0.3 * ratio ** (-2.0 / length),
        0.1 * 2.0 ** (-(CRITICAL.other - CRITICAL.level) / length),
    )
    result = one_length(synthetic(law))
    np.testing.assert_allclose(result.lengths, length, rtol=1e-3)
    noisy = one_length(synthetic(law, noise=1e-5))
    assert noisy.verdict == "one length"
    assert np.all(np.abs(np.array(noisy.lengths) - length) < 4.0 * np.array(noisy.errors))
    # The same slope in the wrong place: the vertical decays twice as slowly.
    broken = np.where(within, law, np.sqrt(law))
    result = one_length(synthetic(broken, noise=1e-5))
    assert result.verdict == "two lengths"
    assert result.lengths[1] == pytest.approx(2.0 * length, rel=0.05)


def test_exponential_of_the_distance_is_told_from_flat_spaces() -> None:
    kinds = distances(CRITICAL)
    hyperbolic = synthetic(0.5 * np.exp(-kinds["hyperbolic"] / 0.6), noise=1e-5)
    flat = synthetic(0.5 * np.exp(-kinds["flat"] / 3.0), noise=1e-5)
    for name, pairs, length in (("hyperbolic", hyperbolic, 0.6), ("flat", flat, 3.0)):
        fits = compare_geometries(pairs)
        assert min(fits, key=lambda key: fits[key].aic) == name
        assert min(fits, key=lambda key: fits[key].bic) == name
        assert 1.0 / fits[name].rate == pytest.approx(length, rel=0.03)


def test_few_samples_are_underpowered() -> None:
    law = np.exp(-distances(CRITICAL)["hyperbolic"] / 0.6)
    scarce = synthetic(law, noise=0.008, seed=1)
    assert one_length(scarce).verdict == "underpowered"
    with pytest.raises(SettingsError, match="above the noise"):
        one_length(synthetic(0.0 * law, noise=1.0))


def test_haar_on_the_critical_free_field_has_one_length_a_half() -> None:
    result = one_length(CRITICAL)
    assert result.verdict == "one length"
    assert np.all(np.abs(np.array(result.lengths) - 0.5) < 2.0 * np.array(result.errors) + 0.03)
    fits = compare_geometries(CRITICAL)
    assert min(fits, key=lambda key: fits[key].aic) == "hyperbolic"
    assert fits["hyperbolic"].scatter < 1.0 < fits["flat"].scatter
    assert all(fit.scatter > 1.0 for fit in compare_geometries(GAPPED).values())


def test_haar_on_the_gapped_free_field_has_not() -> None:
    assert one_length(GAPPED).verdict != "one length"
    # Within the boundary's own layer the decay is exponential, no power law.
    layer = same_layer(GAPPED.select(GAPPED.level == 0))
    power = fit_same_layer(GAPPED.select(GAPPED.level == 0))
    assert power.scatter > 1.0 > fit_same_layer(CRITICAL.select(CRITICAL.level == 0)).scatter
    assert np.corrcoef(layer.separation, np.log(layer.value))[0, 1] < -0.98


def test_selections() -> None:
    near = same_layer(CRITICAL, farthest=0.25)
    assert near.separation.max() == 8.0
    np.testing.assert_array_equal(near.level, near.other)
    up = vertical(CRITICAL)
    steps = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4)]
    assert list(zip(up.level, up.other, strict=True)) == steps
    # Sixteen fine cells under each of the 8·8 / 16 coarse ones, whatever their offset.
    np.testing.assert_allclose(up.count[:2], [256.0, 256.0])
    below = CRITICAL.select(CRITICAL.vertical & (CRITICAL.level == 0) & (CRITICAL.other == 2))
    assert up.value[1] == pytest.approx(np.average(below.value, weights=below.count))
