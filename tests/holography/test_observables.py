"""Conventions of the observables against the free field, whose every mean is known."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.experimental.numpy as tnp
from free_fields import free_correlation, free_density
from hypothesis import given, settings
from hypothesis import strategies as st
from ising_sums import draw_dual_field, dual_second_moments, sum_over_spins

from emergence.errors import SettingsError
from emergence.holography.actions import (
    ComplexPhi4,
    FreeField,
    IsingDualField,
    bond_sum,
)
from emergence.holography.autocorrelation import estimate_all, estimate_mean
from emergence.holography.exact import free_sample
from emergence.holography.observables import (
    PRIMARY,
    along_axes,
    formulas,
    ising_primary,
    primary,
    primary_parts,
)
from emergence.holography.targets import axis_correlations


def channels(field: np.ndarray) -> tf.Tensor:
    """Complex fields ``[samples, L, L]`` as two components, ``[samples, L, L, 2]``."""
    return tf.constant(np.stack([field.real, field.imag], axis=-1))


def random_field(side: int, seed: int, samples: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (samples, side, side)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def twisted_stiffness(action: FreeField, side: int) -> float:
    """Υ/T = N⁻¹ ∂²/∂A² Σ_k ln e_k with every hop along x carrying the phase A."""
    angle = 2.0 * np.pi * np.arange(side) / side

    def free_energy(twist: float) -> float:
        along = action.t * np.cos(angle + twist)[:, None]
        return float(np.sum(np.log(action.mu - along - action.t * np.cos(angle)[None, :])))

    step = 1e-3
    curvature = free_energy(step) - 2.0 * free_energy(0.0) + free_energy(-step)
    return curvature / step**2 / side**2


def test_free_field_has_its_exact_means() -> None:
    action, side = FreeField(t=1.0, mu=2.25), 4
    field = free_sample(action, side, 40_000, np.random.default_rng(1))
    series = {name: values.reshape(4, -1) for name, values in primary(field, action.t).items()}
    eigenvalues = action.eigenvalues(side)
    chi, structure = 1.0 / eigenvalues[0, 0], 1.0 / eigenvalues[0, 1]
    density = free_density(action, side)
    exact = {
        "susceptibility": chi,
        "binder": 2.0,
        "helicity": twisted_stiffness(action, side),
        "correlation_length_squared": (chi / structure - 1.0) / (4.0 * np.sin(np.pi / side) ** 2),
        "bond": free_correlation(action, side)[0, 1],
        "density": density,
        # ⟨S⟩ = N for N complex modes; λ = 0 below.
        "action": 1.0,
        # |φ̄| of a complex Gaussian is Rayleigh.
        "order": np.sqrt(np.pi * chi / side**2) / 2.0,
    }
    measured = estimate_all(series, formulas(side, ComplexPhi4(action.t, action.mu, 0.0)))
    for name, value in exact.items():
        assert measured[name].value == pytest.approx(value, abs=4.0 * measured[name].error), name
        assert measured[name].error < 0.05 * abs(value)
    length = measured["correlation_length"]
    assert length.value**2 == pytest.approx(measured["correlation_length_squared"].value)
    quartic = estimate_mean(series["quartic"])
    assert quartic.value == pytest.approx(2.0 * density**2, abs=4.0 * quartic.error)
    smallest = estimate_mean(series["structure"])
    assert side**2 * smallest.value == pytest.approx(structure, abs=4.0 * side**2 * smallest.error)


@given(st.sampled_from([2, 3, 4, 5]), st.integers(0, 2**31), st.floats(-1.0, 1.0))
@settings(max_examples=20, deadline=None)
def test_primary_quantities_are_the_sums_they_are_called(side: int, seed: int, t: float) -> None:
    field = random_field(side, seed)
    measured, sites = primary(field, t), side * side
    mean = field.mean(axis=(1, 2))
    np.testing.assert_allclose(measured["order"], np.abs(mean), rtol=1e-12)
    np.testing.assert_allclose(measured["square"], np.abs(mean) ** 2, rtol=1e-12)
    np.testing.assert_allclose(measured["fourth"], np.abs(mean) ** 4, rtol=1e-12)
    np.testing.assert_allclose(2 * sites * measured["bond"], bond_sum(field), rtol=1e-9, atol=1e-9)
    power = np.abs(np.fft.fft2(field) / sites) ** 2
    four = power[:, 0, 1] + power[:, 0, -1] + power[:, 1, 0] + power[:, -1, 0]
    np.testing.assert_allclose(measured["structure"], four / 4.0, rtol=1e-9, atol=1e-12)
    stiffness = np.zeros(len(field))
    for axis in (1, 2):
        hop = np.sum(field.conj() * np.roll(field, -1, axis=axis), axis=(1, 2))
        stiffness += 0.5 * (t * hop.real - t**2 * hop.imag**2) / sites
    np.testing.assert_allclose(measured["helicity"], stiffness, rtol=1e-9, atol=1e-12)


@given(st.sampled_from([2, 3, 4, 8]), st.integers(0, 2**31), st.integers(0, 7))
def test_correlations_along_the_axes_are_those_of_the_structure_factor(side, seed, shift) -> None:
    rng = np.random.default_rng(seed)
    field = rng.standard_normal((3, side, side)) + 1j * rng.standard_normal((3, side, side))
    found = along_axes(field)
    power = np.fft.ifft2(np.abs(np.fft.fft2(field)) ** 2).real / side**2
    expected = 0.5 * (power[:, 0] + power[:, :, 0])[:, : side // 2 + 1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    moved = np.exp(0.1j * shift) * np.roll(field, shift, axis=2)
    np.testing.assert_allclose(along_axes(moved), found, rtol=0, atol=1e-12)


@given(st.integers(0, 2**31), st.floats(-3.0, 3.0), st.integers(0, 3), st.booleans())
@settings(max_examples=20, deadline=None)
def test_primary_quantities_know_no_phase_origin_or_axis(
    seed: int, angle: float, shift: int, turn: bool
) -> None:
    field = random_field(4, seed)
    moved = np.exp(1j * angle) * np.roll(field, shift, axis=1)
    if turn:
        moved = np.rot90(moved, axes=(1, 2)).conj()
    before, after = primary(field, 0.3), primary(moved, 0.3)
    for name in PRIMARY:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-12)
    one, other = (axis_correlations(channels(each)) for each in (moved, field))
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensorflow_measures_the_same(dtype: str) -> None:
    field = random_field(4, 3)
    t = tf.constant([0.1, 0.2, 0.3], dtype)
    parts = (tf.constant(field.real, dtype), tf.constant(field.imag, dtype))
    measured = tf.function(primary_parts, jit_compile=True)(*parts, t, tnp)
    for index in range(3):
        expected = primary(field[index : index + 1], 0.1 * (index + 1))
        assert set(measured) == set(expected) == set(PRIMARY)
        for name, value in expected.items():
            assert measured[name].dtype.name == dtype
            np.testing.assert_allclose(measured[name][index], value[0], rtol=1e-5, atol=1e-6)


def test_axis_correlation_is_the_direct_sum_and_integrates_to_the_free_field() -> None:
    field = random_field(5, 8)
    for distance in range(3):
        pairs = [
            np.mean((field.conj() * np.roll(field, -distance, axis=axis)).real, axis=(1, 2))
            for axis in (1, 2)
        ]
        expected = np.mean(pairs, axis=0)
        np.testing.assert_allclose(axis_correlations(channels(field))[:, distance], expected)
    action = FreeField(1.0, 2.25)
    fields = free_sample(action, 4, 20_000, np.random.default_rng(2))
    draws = axis_correlations(channels(fields)).numpy()
    error = draws.std(axis=0) / np.sqrt(len(draws))
    pulls = (draws.mean(axis=0) - free_correlation(action, 4)[0, :3]) / error
    assert np.all(np.abs(pulls) < 4.0)


def test_improved_estimators_are_preferred_and_noise_gives_no_length() -> None:
    means = {"square": 0.5, "structure": 0.1, "fourth": 0.3}
    chosen = formulas(8)
    assert chosen["susceptibility"](means) == 32.0
    improved = means | {"improved_square": 0.25, "improved_structure": 0.2}
    assert chosen["susceptibility"](improved) == 16.0
    assert chosen["binder"](improved) == chosen["binder"](means)
    better = improved | {"helicity": 0.2, "improved_fourth": 0.1, "improved_helicity": 0.3}
    assert chosen["binder"](better) == pytest.approx(0.1 / 0.25**2)
    assert chosen["helicity"](better) == 0.3 and chosen["helicity"]({"helicity": 0.2}) == 0.2
    squared = chosen["correlation_length_squared"](improved)
    assert squared == pytest.approx(0.25 / (4.0 * np.sin(np.pi / 8) ** 2))
    assert chosen["correlation_length"](improved) == pytest.approx(np.sqrt(squared))
    assert chosen["order"]({"order": 0.6}) == 0.6
    assert chosen["order"]({"order": 0.6} | improved) == pytest.approx(0.6 * (1.0 - 0.5))
    assert np.isnan(chosen["correlation_length"]({"square": 0.1, "structure": 0.2}))
    assert "action" not in chosen


def test_dual_field_of_exact_spins_has_the_exact_moments_of_field_and_spins() -> None:
    action, side = IsingDualField(2.5), 3
    sites = side**2
    codes = np.arange(2**sites)[:, None]
    spins = (1.0 - 2.0 * ((codes >> np.arange(sites)) & 1)).reshape(-1, side, side)
    neighbours = np.roll(spins, -1, axis=1) + np.roll(spins, -1, axis=2)
    weight = np.exp(np.sum(spins * neighbours, axis=(1, 2)) / action.temperature)
    rng = np.random.default_rng(9)
    drawn = spins[rng.choice(len(spins), size=60_000, p=weight / weight.sum())]
    field = draw_dual_field(drawn, action, rng)
    reference = sum_over_spins(side, action.temperature)
    moments = dual_second_moments(action, reference.correlation)
    products = field[:, :1, :1] * field
    error = products.std(axis=0) / np.sqrt(len(field))
    assert np.all(np.abs(products.mean(axis=0) - moments) < 4.5 * error)
    measured = ising_primary(field)
    for name, exact in (
        ("magnetisation_squared", reference.magnetisation_squared),
        ("energy", reference.energy),
    ):
        result = estimate_mean(measured[name].reshape(4, -1))
        assert result.value == pytest.approx(exact, abs=4.0 * result.error)
        assert result.error < 0.01 * abs(exact)


def test_fields_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="samples, L, L"):
        primary(np.zeros((2, 3, 4), complex), 0.1)
    with pytest.raises(SettingsError):
        primary(np.zeros((2, 1, 1), complex), 0.1)
    with pytest.raises(ValueError, match="real"):
        ising_primary(np.zeros((2, 3, 3), complex))
