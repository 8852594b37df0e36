"""Actions: couplings, bonds, symmetries, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emergence.errors import SettingsError
from emergence.holography.actions import (
    XY,
    ComplexPhi4,
    FreeField,
    IsingDualField,
    bond_sum,
    check_side,
    lattice_cosines,
)

SIDES = st.sampled_from([2, 3, 4, 8])
SEEDS = st.integers(0, 2**32 - 1)


def complex_field(seed: int, side: int, batch: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (batch, side, side)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def adjacency(side: int) -> np.ndarray:
    """Number of bonds between each two sites, counted by walking over them."""
    bonds = np.zeros((side * side, side * side))
    for x in range(side):
        for y in range(side):
            for neighbour in ((x + 1) % side * side + y, x * side + (y + 1) % side):
                bonds[x * side + y, neighbour] += 1
                bonds[neighbour, x * side + y] += 1
    return bonds


@pytest.mark.parametrize("side", [2, 3, 4])
def test_phi4_is_its_formula_bond_by_bond(side: int) -> None:
    action = ComplexPhi4(t=0.7, mu=-1.3, lam=0.4)
    field = complex_field(1, side)
    flat = field.reshape(3, -1)
    hopping = 0.5 * np.einsum("bi,ij,bj->b", flat.conj(), adjacency(side), flat).real
    density = np.abs(flat) ** 2
    expected = -0.7 * hopping + np.sum(-1.3 * density + 0.4 * density**2, axis=1)
    np.testing.assert_allclose(action.value(field), expected, rtol=1e-13)


def test_bonds_of_a_two_site_wide_torus_count_twice() -> None:
    field = np.zeros((1, 2, 2), dtype=complex)
    field[0, 0] = [2.0, 3.0j + 1.0]
    # The bond between the two sites is met once to the right and once around the torus.
    np.testing.assert_allclose(bond_sum(field), [2.0 * 2.0])


@given(SEEDS, SIDES, st.floats(-np.pi, np.pi))
@settings(max_examples=25, deadline=None)
def test_phi4_is_invariant_under_phase_translation_and_quarter_turn(
    seed: int, side: int, phase: float
) -> None:
    action = ComplexPhi4(t=0.28, mu=-2.0, lam=1.0)
    field = complex_field(seed, side)
    value = action.value(field)
    for moved in (
        field * np.exp(1j * phase),
        np.roll(field, (1, side - 1), axis=(1, 2)),
        np.rot90(field, axes=(1, 2)),
        field.conj(),
    ):
        np.testing.assert_allclose(action.value(moved), value, rtol=1e-11, atol=1e-11)


@given(SEEDS, SIDES, st.floats(-2.0, 2.0), st.floats(0.1, 3.0))
@settings(max_examples=25, deadline=None)
def test_free_field_is_diagonal_in_momentum_and_phi4_without_quartic(
    seed: int, side: int, t: float, gap: float
) -> None:
    mu = 2.0 * abs(t) + gap
    field = complex_field(seed, side)
    power = np.abs(np.fft.fft2(field)) ** 2 / side**2
    by_modes = np.sum(FreeField(t, mu).eigenvalues(side) * power, axis=(1, 2))
    np.testing.assert_allclose(FreeField(t, mu).value(field), by_modes, rtol=1e-10)
    np.testing.assert_allclose(ComplexPhi4(t, mu, 0.0).value(field), by_modes, rtol=1e-10)


@pytest.mark.parametrize("side", [2, 3, 4])
def test_ising_dual_field_is_its_formula_with_a_dense_kernel(side: int) -> None:
    action = IsingDualField(temperature=2.3)
    coupling = adjacency(side) / 2.3
    kernel = coupling + (0.1 - np.linalg.eigvalsh(coupling)[0]) * np.eye(side * side)
    np.testing.assert_allclose(
        np.sort(action.eigenvalues(side).ravel()), np.linalg.eigvalsh(kernel), atol=1e-12
    )
    field = complex_field(2, side).real
    flat = field.reshape(3, -1)
    expected = 0.5 * np.einsum("bi,ij,bj->b", flat, np.linalg.inv(kernel), flat)
    expected -= np.sum(np.log(np.cosh(flat)), axis=1)
    np.testing.assert_allclose(action.value(field), expected, rtol=1e-12)


def test_ising_dual_field_is_even_and_does_not_overflow() -> None:
    action = IsingDualField(temperature=2.3)
    field = np.full((1, 4, 4), 2000.0)
    # Uniform: K⁻¹ acts as one over its largest eigenvalue, and ln cosh x is x − ln 2.
    largest = action.eigenvalues(4).max()
    expected = 16.0 * (0.5 * 2000.0**2 / largest - 2000.0 + np.log(2.0))
    np.testing.assert_allclose(action.value(field), [expected], rtol=1e-13)
    np.testing.assert_array_equal(action.value(-field), action.value(field))


@pytest.mark.parametrize("t", [0.05, 0.28, 0.6])
def test_recalled_couplings_keep_the_mean_field_density(t: float) -> None:
    action = ComplexPhi4.recalled(t)
    assert action.mean_field_density == pytest.approx(4.0)
    # The uniform field of that density is the lowest of all uniform fields.
    radii = np.linspace(1.9, 2.1, 201)
    values = action.value(np.tile(radii[:, None, None], (1, 4, 4)))
    assert radii[np.argmin(values)] == pytest.approx(2.0)


def test_at_a_fixed_radius_only_the_energy_of_the_xy_model_is_left() -> None:
    action = ComplexPhi4.recalled(0.28)
    angle = np.random.default_rng(3).uniform(-np.pi, np.pi, (5, 4, 4))
    bonds = sum(np.cos(angle - np.roll(angle, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
    radius = np.sqrt(action.mean_field_density)
    lowest = action.value(np.full((1, 4, 4), radius + 0.0j))
    above = action.value(radius * np.exp(1.0j * angle)) - lowest
    np.testing.assert_allclose(above, (2.0 * 16.0 - bonds) / action.xy_temperature, rtol=1e-10)


@pytest.mark.parametrize("side", [2, 3, 4])
def test_xy_is_the_energy_of_its_bonds_and_knows_unit_fields_only(side: int) -> None:
    angle = np.random.default_rng(4).uniform(-np.pi, np.pi, (5, side, side))
    bonds = sum(np.cos(angle - np.roll(angle, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
    field = np.exp(1j * angle)
    np.testing.assert_allclose(XY(0.9).value(field), -bonds / 0.9, rtol=1e-12, atol=1e-12)
    single = XY(0.9).value(field.astype(np.complex64))
    np.testing.assert_allclose(single, -bonds / 0.9, rtol=1e-5, atol=1e-5)
    for wrong in (1.01 * field, field * np.nan):
        with pytest.raises(ValueError, match="length 1"):
            XY(0.9).value(wrong)


def test_a_disordered_mean_field_and_the_free_field_have_no_density() -> None:
    assert ComplexPhi4(t=0.1, mu=5.0, lam=1.0).mean_field_density == 0.0
    assert ComplexPhi4(t=0.1, mu=5.0, lam=1.0).xy_temperature == float("inf")
    assert ComplexPhi4(t=0.1, mu=5.0, lam=0.0).mean_field_density == 0.0


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ComplexPhi4(t=1.0, mu=3.0, lam=-0.1), "lambda > 0"),
        (lambda: ComplexPhi4(t=1.0, mu=2.0, lam=0.0), "mu > 2|t|"),
        (lambda: ComplexPhi4(t=float("nan"), mu=2.0, lam=1.0), "finite"),
        (lambda: FreeField(t=-1.0, mu=2.0), "mu > 2|t|"),
        (lambda: FreeField(t=1.0, mu=float("inf")), "finite"),
        (lambda: XY(0.0), "positive"),
        (lambda: XY(float("nan")), "positive"),
        (lambda: IsingDualField(temperature=0.0), "positive"),
        (lambda: IsingDualField(temperature=2.3, margin=-0.1), "margin"),
        (lambda: lattice_cosines(1), "at least 2"),
        (lambda: check_side(12, power_of_two=True), "12 is not a power of two"),
        (lambda: check_side(0), "at least 2"),
    ],
)
def test_impossible_couplings_and_sides_are_told_in_a_sentence(build, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", [2, 4, 8, 32])
def test_powers_of_two_are_accepted(side: int) -> None:
    check_side(side, power_of_two=True)


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 2), (2, 1, 4, 4)])
def test_other_shapes_are_a_bug(shape: tuple[int, ...]) -> None:
    for action in (ComplexPhi4(1.0, 1.0, 1.0), XY(1.0), FreeField(1.0, 3.0), IsingDualField(2.3)):
        with pytest.raises(ValueError, match="batch"):
            action.value(np.zeros(shape))


def test_the_ising_field_is_real() -> None:
    with pytest.raises(ValueError, match="real"):
        IsingDualField(2.3).value(complex_field(0, 4))
