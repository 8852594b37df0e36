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
    """Advance a state along a window by any step, as one loop.

    Args:
        step: (state ``[seeds, batch, size]``, drive of one site ``[seeds, batch, features]``) → state.
        start: state before the first site.
        drive: ``[seeds, batch, sites, features]``.

    Returns:
        The state at the start and after each site, ``[seeds, batch, sites + 1, size]``.
    """
    by_site = tf.transpose(drive, [2, 0, 1, 3])
    states = _loop(drive.shape[2], start, lambda site, state: step(state, by_site[site]))
    return tf.transpose(states, [1, 2, 0, 3])


def roll_polynomial(weights: tf.Tensor, start: tf.Tensor, drive: tf.Tensor) -> tf.Tensor:
    """:func:`roll` by W(V), with a derivative of its own: one loop back along the window.

    Backwards, ``λ_{i−1} = W(V_i)ᵀ λ_i`` plus what enters at each site; the derivative by the weights
    is then one product of all λ with all states. Both loops work on whole rows of the batch.

    Args:
        weights: W_k ``[seeds, degree + 1, size, size]``.
        start: state before the first site, ``[seeds, batch, size]``.
        drive: powers of V ``[seeds, batch, sites, degree + 1]``.

    Returns:
        The state at the start and after each site, ``[seeds, batch, sites + 1, size]``.
    """
    sites = drive.shape[2]

    @tf.custom_gradient
    def run(weights: tf.Tensor, start: tf.Tensor, by_site: tf.Tensor):
        def forwards(site: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
            return _apply(_matrix(weights, by_site[site]), state)

        states = _loop(sites, start, forwards)

        def backwards(bars: tf.Tensor):
            def back(step: tf.Tensor, adjoint: tf.Tensor) -> tf.Tensor:
                site = sites - 1 - step
                turned = tf.transpose(_matrix(weights, by_site[site]), [0, 2, 1, 3])
                return bars[site] + _apply(turned, adjoint)

            # From the last site to the start.
            adjoints = _loop(sites, bars[sites], back)[::-1]
            after, before = adjoints[1:], states[:-1]
            forced = by_site[:, :, :, None] * after[:, :, None]
            by_weights = tf.einsum("tskan,tsbn->skab", forced, before)
            by_drive = tf.einsum("tsan,skab,tsbn->tskn", after, weights, before)
            return by_weights, adjoints[0], by_drive

        return states, backwards

    # The batch innermost: every product is one of whole rows of it.
    states = run(weights, tf.transpose(start, [0, 2, 1]), tf.transpose(drive, [2, 0, 3, 1]))
    return tf.transpose(states, [1, 3, 0, 2])


def _matrix(weights: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """W(V) of every window, ``[seeds, size, size, batch]``, from features ``[seeds, terms, batch]``."""
    terms = range(weights.shape[1])
    return tf.add_n([weights[:, k, :, :, None] * features[:, k, None, None] for k in terms])


def _apply(matrix: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """``[seeds, size, size, batch]`` times ``[seeds, ..., size, batch]``."""
    lead = [1] * (len(state.shape) - 3)
    matrix = tf.reshape(matrix, [matrix.shape[0], *lead, *matrix.shape[1:]])
    columns = range(state.shape[-2])
    return tf.add_n([matrix[..., b, :] * state[..., b, None, :] for b in columns])


def _loop(
    steps: int, start: tf.Tensor, body: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """The start and what every step makes of it, ``[steps + 1, ...]``; ``body(step, value)``."""
    stored = tf.TensorArray(start.dtype, steps + 1, element_shape=start.shape).write(0, start)

    def advance(step: tf.Tensor, value: tf.Tensor, stored: tf.TensorArray) -> tuple:
        value = body(step, value)
        return step + 1, value, stored.write(step + 1, value)

    _, _, stored = tf.while_loop(
        lambda step, *_: step < steps,
        advance,
        (tf.constant(0), start, stored),
        maximum_iterations=steps,
        parallel_iterations=1,
    )
    return stored.stack()


def roll_with_derivatives(
    weights: tf.Tensor, start: tf.Tensor, drive: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """:func:`roll_polynomial`, and the derivatives of every state, in the same loop.

    ``∂h_i = W(V_i) ∂h_{i−1} + ∂W(V_i) h_{i−1}``, where of the entry (k, a, b) of the weights only
    component a of the last term is not zero: (V_i/V₀)^k times component b of h_{i−1}.

    Returns:
        States ``[seeds, batch, sites + 1, size]``, and their derivatives by each entry of the weights
        and then by each component of the start, ``[sites + 1, seeds, entries + size, size, batch]``.
    """
    seeds, terms, size, _ = weights.shape
    batch, entries = drive.shape[1], terms * size * size
    by_site = tf.transpose(drive, [2, 0, 3, 1])
    unit = tf.eye(size, dtype=start.dtype)
    state = tf.transpose(start, [0, 2, 1])[:, None]
    by_entries = tf.zeros([seeds, entries, size, batch], start.dtype)
    by_start = tf.tile(unit[None, :, :, None], [seeds, 1, 1, batch])

    # The state goes first, its derivatives after it: the same matrix moves all of them.
    def advance(site: tf.Tensor, carried: tf.Tensor) -> tf.Tensor:
        features, state = by_site[site], carried[:, 0]
        forced = features[:, :, None, None, None] * state[:, None, None, :, None]
        forced = tf.reshape(forced * unit[:, None, :, None], [seeds, entries, size, batch])
        moved = _apply(_matrix(weights, features), carried)
        return moved + tf.pad(forced, [[0, 0], [1, size], [0, 0], [0, 0]])

    carried = _loop(drive.shape[2], tf.concat([state, by_entries, by_start], axis=1), advance)
    return tf.transpose(carried[:, :, 0], [1, 3, 0, 2]), carried[:, :, 1:]
