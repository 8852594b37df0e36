"""Kaufman against brute force and the transfer matrix; the dual field against integration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ising_sums import CRITICAL_TEMPERATURE, dual_second_moments, sum_over_spins
from scipy.special import ellipk, logsumexp

from emergence.errors import SettingsError
from emergence.holography.actions import IsingDualField
from emergence.holography.ising_exact import (
    dual_log_constant,
    dual_log_partition,
    energy,
    log_partition,
    transfer_rows,
)

TEMPERATURES = [0.02, 0.5, 1.9, CRITICAL_TEMPERATURE, 2.3, 4.0, 100.0]


def test_critical_temperature() -> None:
    assert pytest.approx(2.269185314213022, abs=1e-15) == CRITICAL_TEMPERATURE
    assert np.sinh(2.0 / CRITICAL_TEMPERATURE) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("side", "spins", "constant", "continuous"),
    [
        (4, 15.5219154587553, 21.854816231, 37.376731690),
        (8, 60.1417807890692, 88.513235492, 148.655016281),
        (16, 238.642256635133, 354.233483222, 592.875739858),
        (32, 952.648079548543, 1416.939011577, 2369.587091125),
    ],
)
def test_critical_references(side: int, spins: float, constant: float, continuous: float) -> None:
    action = IsingDualField(CRITICAL_TEMPERATURE)
    assert log_partition(side, CRITICAL_TEMPERATURE) == pytest.approx(spins, rel=3e-15, abs=6e-13)
    assert dual_log_constant(action, side) == pytest.approx(constant, abs=6e-10)
    assert dual_log_partition(action, side) == pytest.approx(continuous, abs=6e-10)


def test_critical_magnetisation_references() -> None:
    by_sum = sum_over_spins(4, CRITICAL_TEMPERATURE).magnetisation_squared
    assert by_sum == pytest.approx(0.7613589086, abs=6e-11)
    by_transfer = transfer_rows(8, CRITICAL_TEMPERATURE).magnetisation_squared
    assert by_transfer == pytest.approx(0.6469115750, abs=6e-11)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("side", [2, 3, 4])
def test_kaufman_and_transfer_matrix_against_brute_force(side: int, temperature: float) -> None:
    brute, transfer = sum_over_spins(side, temperature), transfer_rows(side, temperature)
    for value in (log_partition(side, temperature), transfer.log_partition):
        assert value == pytest.approx(brute.log_partition, rel=1e-14, abs=1e-12)
    for value in (energy(side, temperature), transfer.energy):
        assert value == pytest.approx(brute.energy, rel=1e-11, abs=1e-11)
    np.testing.assert_allclose(transfer.correlation, brute.correlation, atol=1e-11)
    assert brute.correlation[0, 0] == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("temperature", [1.2, CRITICAL_TEMPERATURE, 3.0])
@pytest.mark.parametrize("side", [5, 8])
def test_kaufman_against_the_transfer_matrix(side: int, temperature: float) -> None:
    transfer = transfer_rows(side, temperature)
    assert log_partition(side, temperature) == pytest.approx(transfer.log_partition, rel=1e-13)
    assert energy(side, temperature) == pytest.approx(transfer.energy, rel=1e-11)


def test_brute_force_of_two_sites_wide_by_hand() -> None:
    # Eight bonds (four pairs, each twice): E = −8 twice, 0 twelve times, +8 twice.
    brute = sum_over_spins(2, 4.0)
    weights = np.array([2.0 * np.exp(2.0), 12.0, 2.0 * np.exp(-2.0)])
    assert brute.log_partition == pytest.approx(np.log(weights.sum()))
    assert brute.energy == pytest.approx(weights @ [-8.0, 0.0, 8.0] / weights.sum())


@given(st.integers(2, 64), st.floats(0.5, 20.0))
@settings(max_examples=60, deadline=None)
def test_energy_is_the_derivative_of_the_partition_function(side: int, temperature: float) -> None:
    coupling, step = 1.0 / temperature, 1e-5
    ahead = log_partition(side, 1.0 / (coupling + step))
    behind = log_partition(side, 1.0 / (coupling - step))
    quotient = -(ahead - behind) / (2.0 * step)
    # Truncation of the quotient grows with the third derivative, largest at T_c.
    scale = side**2 * max(1.0, np.log(side))
    assert energy(side, temperature) == pytest.approx(quotient, abs=2e-6 * scale)


@given(st.integers(2, 200), st.floats(1e-3, 1e4))
@settings(max_examples=60, deadline=None)
def test_partition_function_keeps_its_bounds(side: int, temperature: float) -> None:
    sites = side * side
    value = log_partition(side, temperature)
    # Jensen at infinite temperature, and the two ground states, from below; every state at the
    # ground state's energy from above. The energy lies between −2N and 0.
    slack = 1e-12 * (abs(value) + sites)
    assert value >= sites * np.log(2.0) - slack
    assert value >= 2.0 * sites / temperature + np.log(2.0) - slack
    assert value <= sites * (np.log(2.0) + 2.0 / temperature) + slack
    rounding = 1e-12 * sites * max(1.0, temperature)
    assert -2.0 * sites - rounding <= energy(side, temperature) <= rounding


def test_energy_at_the_critical_point_and_in_the_large() -> None:
    # Onsager: −√2 per site at T_c; the torus comes down to it as 1/L.
    excess = [energy(side, CRITICAL_TEMPERATURE) / side**2 + np.sqrt(2.0) for side in (32, 64)]
    assert excess[0] / excess[1] == pytest.approx(2.0, rel=1e-3)
    # Away from it, the infinite lattice's energy up to exp(−L/ξ).
    coupling = 1.0 / 3.0
    k = 2.0 * np.sinh(2.0 * coupling) / np.cosh(2.0 * coupling) ** 2
    onsager = 1.0 + 2.0 / np.pi * (2.0 * np.tanh(2.0 * coupling) ** 2 - 1.0) * ellipk(k * k)
    onsager *= -1.0 / np.tanh(2.0 * coupling)
    assert energy(256, 3.0) / 256**2 == pytest.approx(onsager, abs=1e-10)


@pytest.mark.parametrize("temperature", [1e-3, 1e-5])
def test_zero_temperature_leaves_two_ground_states(temperature: float) -> None:
    expected = 2.0 * 64**2 / temperature + np.log(2.0)
    assert log_partition(64, temperature) == pytest.approx(expected, rel=1e-15)
    assert energy(64, temperature) == pytest.approx(-2.0 * 64**2, rel=1e-13)


def test_dual_field_by_summing_gaussians_over_the_spins() -> None:
    # Integrate x out spin by spin: Z_cont = (2π)^{N/2} √det K Σ_s exp(½ sᵀKs) / 2^N, dense.
    side, action = 3, IsingDualField(temperature=2.5)
    sites = side * side
    row = np.fft.ifft2(action.eigenvalues(side)).real
    x, y = np.divmod(np.arange(sites), side)
    kernel = row[(x[:, None] - x) % side, (y[:, None] - y) % side]
    spins = 1.0 - 2.0 * ((np.arange(2**sites)[:, None] >> np.arange(sites)) & 1)
    exponent = 0.5 * np.einsum("ci,ij,cj->c", spins, kernel, spins)
    expected = 0.5 * sites * np.log(2.0 * np.pi) + 0.5 * np.linalg.slogdet(kernel)[1]
    expected += logsumexp(exponent) - sites * np.log(2.0)
    assert dual_log_partition(action, side) == pytest.approx(expected, abs=1e-11)
    probability = np.exp(exponent - logsumexp(exponent))
    means = spins @ kernel
    moments = kernel + np.einsum("c,ci,cj->ij", probability, means, means)
    exact = dual_second_moments(action, sum_over_spins(side, 2.5).correlation)
    np.testing.assert_allclose(exact, moments[0].reshape(side, side), rtol=1e-11)


def test_dual_field_by_integration_over_the_field() -> None:
    # The value of the action itself, on a grid of the four fields of the 2×2 torus.
    side, action = 2, IsingDualField(temperature=4.0, margin=0.5)
    line = np.linspace(-14.0, 14.0, 35)
    grid = np.stack(np.meshgrid(*[line] * 4, indexing="ij"), axis=-1).reshape(-1, side, side)
    log_weight = -action.value(grid)
    log_cell = 4.0 * np.log(line[1] - line[0])
    total = logsumexp(log_weight)
    assert total + log_cell == pytest.approx(dual_log_partition(action, side), abs=1e-5)
    weight = np.exp(log_weight - total)
    exact = dual_second_moments(action, sum_over_spins(side, 4.0).correlation)
    moments = np.einsum("c,c,cij->ij", weight, grid[:, 0, 0], grid)
    np.testing.assert_allclose(moments, exact, rtol=1e-4)
    # Given the field the spins are independent: ⟨s_i s_j⟩ = ⟨tanh x_i tanh x_j⟩.
    tanh = np.tanh(grid)
    spins = np.einsum("c,c,cij->ij", weight, tanh[:, 0, 0], tanh)
    correlation = sum_over_spins(side, 4.0).correlation
    np.testing.assert_allclose(spins.ravel()[1:], correlation.ravel()[1:], rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: log_partition(1, 2.0), "at least 2"),
        (lambda: energy(4, -1.0), "positive"),
        (lambda: log_partition(4, float("nan")), "positive"),
        (lambda: transfer_rows(11, 2.0), "at most 10"),
        (lambda: transfer_rows(4, 0.0), "positive"),
    ],
)
def test_what_cannot_be_summed_is_refused(call, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        call()
