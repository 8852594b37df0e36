"""Hamiltonian Monte Carlo of the theories, on the boundary and through a map to the bulk."""

import numpy as np
import pytest
import tensorflow as tf
from ising_sums import sum_over_spins

from emergence.holography.actions import ComplexPhi4, IsingDualField
from emergence.holography.autocorrelation import estimate_all, estimate_mean
from emergence.holography.densities import IsingTheory, Phi4Theory
from emergence.holography.exact import small_torus
from emergence.holography.hmc import HamiltonianSampler
from emergence.holography.observables import formulas, ising_primary, primary
from emergence.holography.targets import (
    boundary_density,
    bulk_density,
    bulk_observables,
    field_observables,
)

Pair = tuple[tf.Tensor, tf.Tensor]


def crooked(parameters: dict[str, tf.Tensor], latents: tf.Tensor, couplings: tf.Tensor) -> Pair:
    """A map that is far from any theory: each component stretched by z + a tanh z, mixed."""
    del couplings
    stretch = parameters["stretch"]
    field = latents + stretch * tf.tanh(latents)
    slope = tf.math.log(1.0 + stretch / tf.cosh(latents) ** 2)
    slope = tf.reduce_sum(slope, axis=[2, 3, 4])
    # A shear of unit determinant couples the components.
    field = tf.stack([field[..., 0], field[..., 1] + 0.3 * field[..., 0] ** 2], axis=-1)
    return field, normal_prior(latents) - slope


def normal_prior(latents: tf.Tensor) -> tf.Tensor:
    return -0.5 * tf.reduce_sum(latents**2, axis=[2, 3, 4])


def assert_small_torus(series: dict[str, np.ndarray], action: ComplexPhi4) -> None:
    exact = small_torus(action)
    measured = estimate_all(series, formulas(2, action))
    for name, value in (
        ("susceptibility", exact.susceptibility),
        ("bond", exact.neighbour),
        ("density", exact.density),
    ):
        assert measured[name].value == pytest.approx(value, abs=4.0 * measured[name].error), name
        assert measured[name].error < 0.05 * value
        assert measured[name].agreement > 1e-3


@pytest.mark.parametrize(
    ("action", "dtype", "step"),
    [(ComplexPhi4(1.0, -2.0, 1.0), "float64", 0.12), (ComplexPhi4.recalled(0.28), "float32", 0.04)],
)
def test_boundary_chains_have_the_exact_small_torus(
    action: ComplexPhi4, dtype: str, step: float
) -> None:
    theory = Phi4Theory.of(action)
    couplings = theory.couplings(1, 32, tf.as_dtype(dtype))[0]
    sampler = HamiltonianSampler(boundary_density(theory), field_observables, 10, jitter=0.2)
    angle = 2.0 * np.pi * np.random.default_rng(1).random((32, 2, 2))
    radius = np.sqrt(action.mean_field_density)
    start = tf.constant(radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1), dtype)
    run = sampler.run(start, step=step, trajectories=1500, seed=3, context=(couplings,))
    assert_small_torus({name: values[:, 100:] for name, values in run.series.items()}, action)
    final = run.state.numpy().astype(float)
    expected = primary(final[..., 0] + 1j * final[..., 1], action.t)
    for name, values in expected.items():
        np.testing.assert_allclose(run.series[name][:, -1], values, rtol=1e-4, atol=1e-5)


def test_bulk_chains_have_the_exact_small_torus_whatever_the_map() -> None:
    action = ComplexPhi4(1.0, 1.0, 1.0)
    theory = Phi4Theory.of(action)
    couplings = theory.couplings(1, 32, tf.float64)[0]
    parameters = {"stretch": tf.constant([[[[[0.4, 0.7]]]]], tf.float64)}
    sampler = HamiltonianSampler(
        bulk_density(crooked, normal_prior, theory), bulk_observables(crooked), 6, jitter=0.2
    )
    start = tf.constant(0.5 * np.random.default_rng(4).standard_normal((32, 2, 2, 2)))
    context = (couplings, parameters)
    run = sampler.run(start, step=0.15, trajectories=1100, seed=6, context=context)
    assert run.acceptance > 0.8
    assert_small_torus({name: values[:, 100:] for name, values in run.series.items()}, action)


def test_ising_field_has_the_exact_magnetisation() -> None:
    temperature, side = 3.0, 2
    theory = IsingTheory(temperature)
    couplings = theory.couplings(1, 32, tf.float64)[0]
    sampler = HamiltonianSampler(boundary_density(theory), field_observables, 10)
    # The fixed step of the authors' comparison.
    start = tf.constant(np.random.default_rng(7).standard_normal((32, side, side, 1)))
    run = sampler.run(start, step=0.2, trajectories=1500, seed=9, context=(couplings,))
    exact = sum_over_spins(side, temperature)
    result = estimate_mean(run.series["magnetisation_squared"][:, 100:])
    assert result.value == pytest.approx(exact.magnetisation_squared, abs=4.0 * result.error)
    assert result.error < 0.02
    assert run.acceptance > 0.5
    final = ising_primary(run.state.numpy()[..., 0])
    np.testing.assert_allclose(run.series["energy"][:, -1], final["energy"], rtol=1e-9)


def test_density_differs_from_the_action_by_a_constant() -> None:
    rng = np.random.default_rng(10)
    field = rng.standard_normal((5, 4, 4, 2))
    action = ComplexPhi4.recalled(0.3)
    couplings = Phi4Theory.of(action).couplings(1, 5, tf.float64)[0]
    total = boundary_density(Phi4Theory.of(action))(tf.constant(field), couplings).numpy()
    total += action.value(field[..., 0] + 1j * field[..., 1])
    np.testing.assert_allclose(total, total[0], rtol=1e-12)
    ising = IsingTheory(2.5)
    real = field[..., :1]
    value = boundary_density(ising)(tf.constant(real), couplings).numpy()
    np.testing.assert_allclose(value, -IsingDualField(2.5).value(real[..., 0]), rtol=1e-10)
