"""The recurrence that translator and distiller share: a state advanced by a matrix that V chooses.

``h_i = W(V_i) h_{i−1}`` with W(V) = Σ_k (V/V₀)^k W_k, linear in the state and polynomial in V. V₀ is a
unit of V that keeps the powers of order one; everything else is learnt.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def powers(potential: tf.Tensor, degree: int, unit: float) -> tf.Tensor:
    """(V/V₀)^k for k = 0 … degree, ``[..., degree + 1]``."""
    scaled = potential / unit
    terms = [tf.ones_like(scaled)]
    for _ in range(degree):
        terms.append(terms[-1] * scaled)
    return tf.stack(terms, axis=-1)


def roll(
    step: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], start: tf.Tensor, drive: tf.Tensor
) -> tf.Tensor:
    """Advance a state along a window, as one loop.

    Args:
        step: (state ``[seeds, batch, size]``, drive of one site ``[seeds, batch, features]``) → state.
        start: state before the first site.
        drive: ``[seeds, batch, sites, features]``.

    Returns:
        The state after each site, ``[seeds, batch, sites, size]``.
    """
    sites = drive.shape[2]
    by_site = tf.transpose(drive, [2, 0, 1, 3])
    states = tf.TensorArray(start.dtype, sites, element_shape=start.shape)

    def body(site: tf.Tensor, state: tf.Tensor, states: tf.TensorArray) -> tuple:
        state = step(state, by_site[site])
        return site + 1, state, states.write(site, state)

    _, _, states = tf.while_loop(
        lambda site, *_: site < sites,
        body,
        (tf.constant(0), start, states),
        maximum_iterations=sites,
        parallel_iterations=1,
    )
    return tf.transpose(states.stack(), [1, 2, 0, 3])


def polynomial_step(weights: tf.Tensor) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The linear update for :func:`roll`; ``weights`` W_k are ``[seeds, degree + 1, size, size]``."""

    def step(state: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        return tf.einsum("snka,snk->sna", tf.einsum("skab,snb->snka", weights, state), features)

    return step
