"""What Hamiltonian Monte Carlo samples and measures: a theory on the boundary, or in the bulk.

On the boundary the state is the field φ and ln π = −S[φ]. In the bulk it is the latent ζ of a flow
g, with the density ln p(ζ) − S[g(ζ)] − ln q(g(ζ)): g(ζ) then follows exp(−S) whatever g is, and a
trained g leaves the prior. States are ``[chains, L, L, components]``; couplings (t, μ) come as
``[chains, 2]``, so that chains may run at different ones.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from emergence.holography.densities import Theory
from emergence.holography.hmc import Density, Observe
from emergence.holography.observables import ising_parts, primary_parts
from emergence.updates import Parameters

Generate = Callable[[Parameters, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""(parameters, latents ``[1, chains, L, L, c]``, couplings ``[1, chains, 2]``) → (field, ln q)."""


def field_observables(field: tf.Tensor, couplings: tf.Tensor) -> dict[str, tf.Tensor]:
    """Primary quantities of fields ``[chains, L, L, components]``: name → ``[chains]``.

    Two components are a complex field, one is the Ising dual field.
    """
    if field.shape[-1] == 1:
        return ising_parts(field[..., 0], tnp)
    return primary_parts(field[..., 0], field[..., 1], couplings[:, 0], tnp)


def axis_correlations(field: tf.Tensor) -> tf.Tensor:
    """Re φ_x*φ_{x+r} averaged over sites and both axes, for r = 0 … L/2: ``[chains, L/2 + 1]``."""
    columns = []
    for distance in range(field.shape[1] // 2 + 1):
        moved = tf.roll(field, -distance, axis=1) + tf.roll(field, -distance, axis=2)
        # Summed over the components, averaged over sites and axes.
        columns.append(tf.reduce_mean(tf.reduce_sum(0.5 * field * moved, axis=3), axis=[1, 2]))
    return tf.stack(columns, axis=1)


def boundary_density(theory: Theory) -> Density:
    """``(field, couplings)`` → −S up to a constant, ``[chains]``."""
    return lambda field, couplings: -theory.action(field[None], couplings[None])[0]


def bulk_density(
    generate: Generate, log_prior: Callable[[tf.Tensor], tf.Tensor], theory: Theory
) -> Density:
    """``(latents, couplings, parameters)`` → ln p(ζ) − S[g(ζ)] − ln q(g(ζ)), ``[chains]``.

    Args:
        generate: the flow; its parameters have one seed, ``[1, ...]``.
        log_prior: ln p of latents ``[1, chains, L, L, c]``, ``[1, chains]``.
    """

    def density(latents: tf.Tensor, couplings: tf.Tensor, parameters: Parameters) -> tf.Tensor:
        field, log_density = generate(parameters, latents[None], couplings[None])
        action = theory.action(field, couplings[None])
        return (log_prior(latents[None]) - action - log_density)[0]

    return density


def bulk_observables(generate: Generate, measure: Observe = field_observables) -> Observe:
    """``(latents, couplings, parameters)`` → what ``measure`` finds of the generated field."""

    def observe(
        latents: tf.Tensor, couplings: tf.Tensor, parameters: Parameters
    ) -> dict[str, tf.Tensor]:
        field, _ = generate(parameters, latents[None], couplings[None])
        return measure(field[0], couplings)

    return observe
